//! `zoetrope train` with pairs of preferences, end to end: what is said before, during and after.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::{Desk, NANO, ends, err, out, zoetrope};

/// A folder with a data file of pairs and a recipe.
struct Pairs(Desk);

impl Pairs {
    /// Pairs `rows` and a stage with `lines`.
    fn new(rows: usize, lines: &str) -> Self {
        let pairs = Pairs(Desk::new());
        let row = |n: usize| {
            format!(r#"{{"prompt": "What is {n}?", "chosen": "A red circle.", "rejected": "I do not know {n}."}}"#)
        };
        let rows: Vec<String> = (0..rows).map(row).collect();
        pairs.0.file("pairs.jsonl", rows.join("\n").as_bytes());
        let stage = format!(
            "[[stage]]\nname = \"preferences\"\nsteps = 4\nbatch = 2\npack = 1\noptimizer.lr = 0.002\n\
             data = [{{ data = \"pairs.jsonl\" }}]\n{lines}"
        );
        pairs.0.file("recipe.toml", stage.as_bytes());
        pairs
    }

    fn change_recipe(&self, from: &str, to: &str) {
        let recipe = std::fs::read_to_string(self.0.place("recipe.toml")).expect("read");
        self.0.file("recipe.toml", recipe.replace(from, to).as_bytes());
    }

    /// `zoetrope train` with the recipe.
    fn train(&self, more: &[&str]) -> Command {
        zoetrope(&[&["train", &self.0.path("recipe.toml"), "--model", NANO][..], more].concat())
    }
}

const DPO: &str = "objective = { kind = \"dpo\", beta = 0.2 }\n\
                   eval = { every = 2, samples = 2, data = [{ data = \"pairs.jsonl\" }] }\n";
const ADAPTERS: &str = "vision.learn = \"frozen\"\nprojector.learn = \"frozen\"\n\
                        language = { learn = \"lora\", rank = 4, precision = \"int8\" }\n";

#[test]
fn a_dry_run_says_that_preferences_are_learned_and_what_the_reference_costs() {
    let adapters = Pairs::new(9, &format!("{DPO}{ADAPTERS}"));
    let words = out(&ends(adapters.train(&["--dry-run"])));
    let line = words.lines().find(|line| line.contains("objective: ")).expect("a line of the objective");
    assert!(line.contains("preferences (DPO, beta 0.2); the reference: the model without its adapters"), "{words}");
    assert!(line.contains("2 pairs in each step") && line.contains(" s a pair"), "{words}");
    let whole = Pairs::new(9, DPO);
    let words = out(&ends(whole.train(&["--dry-run"])));
    // Four steps of two rows, and two held out, with 32 bytes each.
    assert!(words.contains("10 pairs before the first step") && words.contains("in reference/"), "{words}");
    let told: Value = serde_json::from_slice(&ends(whole.train(&["--dry-run", "--json"])).stdout).expect("JSON");
    let stage = &told["stages"][0]["stage"];
    let reference = &stage["reference"];
    assert_eq!((&reference["is_stored"], &reference["pairs"]), (&true.into(), &10.into()), "{told}");
    assert_eq!((&reference["file_bytes"], &stage["pairs"]), (&320.into(), &2.into()), "{told}");
    assert!(reference["pair_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{told}");
    assert!(!whole.0.place("run").exists());
    let answers = Pairs::new(9, "");
    let words = out(&ends(answers.train(&["--dry-run"])));
    assert!(words.contains("2 are pairs of preferences: only their chosen answers are learned"), "{words}");
}

#[test]
fn rewards_are_told_while_preferences_are_learned() {
    let desk = Pairs::new(9, &format!("{DPO}{ADAPTERS}").replace("every = 2", "every = 4"));
    desk.change_recipe("steps = 4", "steps = 20");
    let folder = desk.0.path("run");
    let output = ends(desk.train(&["--out", &folder]));
    let said = err(&output);
    let line = said.lines().find(|line| line.contains("step 20 of 20, loss ")).expect("a line of the last steps");
    for word in ["rewards chosen ", " rejected ", " margin ", " accuracy "] {
        assert!(line.contains(word), "{word:?} is not in {line}");
    }
    assert!(said.contains("held-out loss ") && said.matches("rewards chosen").count() > 2, "{said}");
    let lines = std::fs::read_to_string(Path::new(&folder).join("metrics.jsonl")).expect("read");
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |kind: &str| records.iter().filter(|record| record["record"] == kind).collect::<Vec<_>>();
    let (steps, evals) = (of("step"), of("eval"));
    let number = |value: &Value| value.as_f64().expect("a number");
    let margin = |step: &Value| number(&step["rewards"]["chosen"]) - number(&step["rewards"]["rejected"]);
    let (first, last) = (steps[0], steps[19]);
    assert!(margin(first).abs() < 0.01 && margin(last) > 0.1, "{first} {last}");
    assert!((number(&last["rewards"]["margin"]) - margin(last)).abs() < 1e-9, "{last}");
    assert_eq!(last["rewards"]["accuracy"], 1.0, "{last}");
    for score in ["loss", "reward chosen", "reward rejected", "reward margin", "reward accuracy"] {
        assert!(evals[0]["scores"][score].is_number(), "{score} is not in {}", evals[0]);
    }
    let page = std::fs::read_to_string(Path::new(&folder).join("report.html")).expect("read");
    for words in ["Preferences", "Reward accuracy", "Rewards", "Reward margin"] {
        assert!(page.contains(words), "{words} is not on the page");
    }
    let events = std::fs::read_dir(Path::new(&folder).join("tensorboard")).expect("a folder").next().expect("a file");
    let events = std::fs::read(events.expect("a file").path()).expect("read");
    for tag in ["rewards/chosen", "rewards/rejected", "rewards/margin", "rewards/accuracy", "pairs.jsonl/reward margin"]
    {
        assert!(events.windows(tag.len()).any(|window| window == tag.as_bytes()), "{tag}");
    }
    assert!(Path::new(&folder).join("adapter/adapter_model.safetensors").is_file());
}

#[test]
fn pairs_in_a_stage_that_learns_answers_are_told() {
    let desk = Pairs::new(9, ADAPTERS);
    let folder = desk.0.path("run");
    let said = err(&ends(desk.train(&["--out", &folder])));
    let told = said.matches("pairs of preferences: only their chosen answers are learned").count();
    assert_eq!(told, 1, "{said}");
    assert!(!said.contains("rewards"), "{said}");
}

#[test]
fn a_check_shows_both_answers_of_pairs() {
    let desk = Pairs::new(3, "");
    let file = desk.0.path("pairs.jsonl");
    let words = out(&ends(zoetrope(&["data", "check", &file, "--model", NANO, "--samples", "1"])));
    for shown in ["pairs of preferences: 3", "«A red circle.", "  rejected:\n", "«I do not know "] {
        assert!(words.contains(shown), "{shown:?} is not in {words}");
    }
}

/// The pass of the reference, which no step has followed yet, is kept and gone on with.
#[cfg(unix)]
#[test]
fn a_reference_that_is_interrupted_is_kept() {
    let desk = Pairs::new(3000, &DPO.replace("steps = 4", ""));
    desk.change_recipe("batch = 2", "batch = 700");
    let folder = desk.0.path("run");
    let mut command = desk.train(&["--out", &folder]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    // The metrics are opened just before the pass begins, which takes seconds.
    while !Path::new(&folder).join("metrics.jsonl").is_file() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let output = child.wait_with_output().expect("the binary ends");
    let said = err(&output);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("stopped before the first step"), "{said}");
    assert!(Path::new(&folder).join("reference/stage-1.safetensors").is_file());
    assert!(!Path::new(&folder).join("checkpoint").exists() && !Path::new(&folder).join("model").exists());
}
