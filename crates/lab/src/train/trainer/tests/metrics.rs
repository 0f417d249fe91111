//! What runs write of themselves.

use serde_json::Value;

use super::*;

const STAGES: &str = r#"
    [[stage]]
    name = "one"
    steps = 3
    data = [{ data = "3" }, { data = "4" }]
    eval = { every = 2, samples = 2, data = [{ data = "2" }] }

    [[stage]]
    name = "two"
    vision.learn = "frozen"
    projector.lr = 0.02
    steps = 4
    data = [{ drawn = "pictures" }]
    eval = { every = 2, samples = 2, data = [{ data = "2" }] }
"#;

/// The lines of a run without what a clock and the system tell.
fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        for name in ["seconds", "tokens_per_second", "waited", "memory"] {
            value.as_object_mut().unwrap().remove(name);
        }
        value
    };
    text.lines().map(line).collect()
}

fn of<'a>(lines: &'a [Value], record: &'a str) -> impl Iterator<Item = &'a Value> {
    lines.iter().filter(move |line| line["record"] == record)
}

#[test]
fn metrics_have_every_step_by_group_and_by_data_file() {
    let folder = tempfile::tempdir().unwrap();
    run(&mut open(TOY, folder.path(), &recipe(STAGES)), usize::MAX);
    let lines = lines(folder.path());
    let steps: Vec<&Value> = of(&lines, "step").collect();
    let numbers: Vec<u64> = steps.iter().map(|step| step["step"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!((&steps[2]["stage"], &steps[3]["stage"]), (&"one".into(), &"two".into()));
    for (step, groups) in [(0, 4), (3, 3)] {
        let [norms, lrs] = ["gradient_norm_by_group", "lr"].map(|name| steps[step][name].as_object().unwrap());
        assert_eq!((norms.len(), lrs.len()), (groups, groups), "{}", steps[step]);
        let squares: f64 = norms.values().map(|norm| norm.as_f64().unwrap().powi(2)).sum();
        let all = steps[step]["gradient_norm"].as_f64().unwrap();
        assert!((squares.sqrt() - all).abs() < 1e-4 * all, "{squares} {all}");
    }
    let rates = |step: &Value, group: &str| step["lr"][group].as_f64().unwrap();
    assert!((rates(steps[3], "projector") / rates(steps[3], "language") - 2.0).abs() < 1e-6, "{}", steps[3]);
    assert!(
        steps[0]["loss_by_kind"]["test.json"].is_number() && steps[3]["loss_by_kind"]["drawn pictures"].is_number()
    );
    let evals: Vec<&Value> = of(&lines, "eval").collect();
    let at: Vec<u64> = evals.iter().map(|eval| eval["step"].as_u64().unwrap()).collect();
    assert_eq!(at, [2, 3, 5, 7]);
    assert!(evals.iter().all(|eval| eval["set"] == "2" && eval["scores"]["loss"].is_number()), "{evals:?}");
    // Two held-out samples at the end of each stage, with the frames that were seen.
    let examples: Vec<&Value> = of(&lines, "example").collect();
    assert_eq!(examples.len(), 4);
    for example in examples {
        assert!(!example["expected"].as_str().unwrap().is_empty() && example["answer"].is_string(), "{example}");
        let frame = example["frames"][0]["file"].as_str().unwrap();
        assert!(folder.path().join("examples").join(frame).is_file());
    }
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("7 steps, finished") && page.contains("Example answers"));
}

#[test]
fn a_run_that_was_killed_has_the_metrics_of_one_that_was_not() {
    let (whole, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let recipe = recipe(STAGES);
    run(&mut open(TOY, whole.path(), &recipe), usize::MAX);
    run(&mut open(TOY, killed.path(), &recipe), 4);
    // Steps after the checkpoint, the last of them torn: what a kill leaves.
    let file = killed.path().join("metrics.jsonl");
    let mut text = std::fs::read_to_string(&file).unwrap();
    let lost =
        text.lines().rfind(|line| line.contains("\"record\":\"step\"")).unwrap().replace("\"step\":4", "\"step\":5");
    text.push_str(&format!("{lost}\n{}", &lost[..lost.len() / 2]));
    std::fs::write(&file, text).unwrap();
    run(&mut open(TOY, killed.path(), &recipe), usize::MAX);
    assert_eq!(lines(killed.path()), lines(whole.path()));
}
