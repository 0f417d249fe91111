//! Runs from their beginning to a model or an adapter that answers.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::{Desk, NANO, TOY, err, fails, out, run, zoetrope};

const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/clips/red-circle.mp4");

/// A recipe of `steps` steps on pictures of one object, and one more in which only the visual tokens learn.
fn recipe(desk: &Desk, steps: usize) -> String {
    let text = format!(
        r#"
seed = 1
save_every = 1

[[stage]]
name = "one"
steps = {steps}
batch = 2
pack = 1
turns = 2
set = {{ prune = true }}
optimizer = {{ kind = "muon", lr = 0.001, muon_lr = 0.01, beta2 = 0.98 }}
schedule = {{ warmup = 1, min_ratio = 0.1 }}
data = [{{ drawn = "one_object", kinds = ["colour", "place"] }}]

[[stage]]
name = "tokens"
continues = true
steps = 1
turns = 0
token_loss_weight = 1.0
data = [{{ drawn = "one_object" }}]
"#
    );
    desk.file("recipe.toml", text.as_bytes())
}

#[test]
fn training_starts_from_the_model_or_from_nothing_goes_on_and_gives_a_model_that_answers() {
    let desk = Desk::new();
    let out_of = |name: &str, steps: usize, more: &[&str]| {
        let (recipe, folder) = (recipe(&desk, steps), desk.path(name));
        let args = [&["train", &recipe, "--model", NANO, "--out", &folder, "--json"][..], more].concat();
        let output = run(&args);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        serde_json::from_str::<serde_json::Value>(&out(&output)).expect("one object")
    };
    let two = ["--until", "2"];
    let (learned, random) =
        (out_of("learned", 3, &two), out_of("random", 3, &[&two[..], &["--from-scratch"]].concat()));
    let loss = |done: &serde_json::Value| done["loss"].as_f64().expect("a number");
    assert!(loss(&learned) < 0.5 * loss(&random), "{learned} {random}");
    let more = out_of("learned", 3, &[]);
    assert_eq!(more["steps"], 4);
    let model = more["model"].as_str().expect("a folder");
    let again = |steps: usize, template: &str, name: &str, more: &[&str], words: &[&str]| {
        let (recipe, folder) = (recipe(&desk, steps), desk.path(name));
        fails(&[&["train", &recipe, "--model", template, "--out", &folder][..], more].concat(), 1, words);
    };
    again(5, NANO, "learned", &[], &["learned", "another training of 4 steps", "stage"]);
    again(3, NANO, "learned", &["--from-scratch"], &["learned", "it began with the weights of a model"]);
    again(3, model, "learned", &[], &["learned", "the model that is read lies where the run writes"]);
    out_of("random", 3, &["--from-scratch"]);
    again(3, NANO, "random", &["--from-scratch"], &["random", "ended after 4 steps"]);
    let output =
        run(&["eval", "--model", model, "--items", "2", "--difficulty", "one_object", "--kinds", "colour", "--json"]);
    assert!(out(&output).contains("\"accuracy\""), "{}", err(&output));
    let refused = |text: &str, words: &[&str]| {
        let wrong = desk.file("wrong.toml", text.as_bytes());
        fails(&["train", &wrong, "--model", NANO, "--out", &desk.path("x")], 1, &[&["wrong.toml"], words].concat());
    };
    refused("{}", &["JSON", "TOML"]);
    refused("seed = 1\nsave_evry = 2", &["line 2", "save_evry", "did you mean \"save_every\"?"]);
    refused("seed = 1", &["stage: there is none"]);
    fails(&["eval", "--difficulty", "oil"], 1, &["oil", "one_object"]);
    fails(&["eval", "--kinds", "smell"], 1, &["smell", "colour"]);
}

#[test]
fn a_training_reports_its_steps_and_several_are_compared() {
    let desk = Desk::new();
    let recipe = desk.file("adapter.toml", ADAPTER.as_bytes());
    let folders = ["one", "two"].map(|name| desk.path(name));
    for folder in &folders {
        let output = run(&["train", &recipe, "--model", NANO, "--out", folder, "--json", "--quiet"]);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    }
    let read =
        |path: &Path| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let folder = Path::new(&folders[0]);
    let lines = read(&folder.join("metrics.jsonl"));
    // The recipe, three steps, measurements after the second and the last, and example answers at the end.
    let of = |kind: &str| lines.matches(&format!("{{\"record\":\"{kind}\"")).count();
    assert_eq!((of("run"), of("step"), of("eval"), of("example")), (1, 3, 2, 4), "{lines}");
    for word in ["\"gradient_norm_by_group\":{\"language\":", "\"loss_by_kind\":{\"drawn one_object\":"] {
        assert!(lines.contains(word), "{word} is not in {lines}");
    }
    assert!(read(&folder.join("report.html")).contains("3 steps, finished"));
    assert_eq!(std::fs::read_dir(folder.join("tensorboard")).expect("a folder").count(), 1);
    std::fs::remove_file(folder.join("report.html")).expect("removed");
    let page = folder.join("report.html").display().to_string();
    assert_eq!(out(&run(&["report", &folders[0]])).trim(), page);
    assert!(read(Path::new(&page)).contains("data:image/jpeg;base64,"));
    let both = desk.path("both.html");
    let output = run(&["report", &folders[0], &folders[1], "--out", &both, "--json"]);
    assert!(out(&output).contains("both.html") && read(Path::new(&both)).contains("2 runs compared"));
    fails(&["report", &desk.path("none")], 1, &["none", "metrics.jsonl", "no such file"]);
}

/// Three steps of adapters over packed matrices.
const ADAPTER: &str = r#"
save_every = 100

[[stage]]
name = "adapter"
steps = 3
batch = 2
pack = 1
turns = 2
vision.learn = "frozen"
projector.learn = "frozen"
language = { learn = "lora", rank = 4, alpha = 8, precision = "int8" }
optimizer.lr = 0.01
data = [{ drawn = "one_object" }]
eval = { every = 2, samples = 2, data = [{ drawn = "one_object" }] }
"#;

#[test]
fn an_adapter_is_estimated_learned_and_used() {
    let desk = Desk::new();
    let (recipe, folder) = (desk.file("adapter.toml", ADAPTER.as_bytes()), desk.path("run"));
    let json = |args: &[&str]| {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        serde_json::from_str::<serde_json::Value>(&out(&output)).expect("one object")
    };
    let train = ["train", &recipe, "--model", NANO];
    let estimate = json(&[&train[..], &["--dry-run", "--json"]].concat());
    let stage = &estimate["stages"][0]["stage"];
    assert_eq!(
        (estimate["steps"].as_u64(), stage["samples"].as_u64(), stage["looked_at"].as_u64()),
        (Some(3), Some(6), Some(2))
    );
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    assert!(number(&stage["step_seconds"]) > 0.0 && number(&stage["sample_tokens"]) > number(&stage["visual_tokens"]));
    let learned: Vec<u64> = stage["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .map(|group| group["learned"].as_u64().expect("a count"))
        .collect();
    assert!(learned[2] > 0 && learned[0] + learned[1] + learned[3] == 0, "{learned:?}");
    let words = out(&run(&[&train[..], &["--dry-run"]].concat()));
    assert!(
        words.contains("language: ") && words.contains("in int8, lora") && words.contains("in all: 3 steps"),
        "{words}"
    );
    assert!(!Path::new(&folder).exists());
    assert!(fails(&train, 2, &["required"]).contains("--out"));

    let done = json(&[&train[..], &["--out", &folder, "--merge", "--json"]].concat());
    assert!(number(&done["held_out"]) > 0.0, "{done}");
    let written: Vec<&str> =
        done["written"].as_array().expect("folders").iter().map(|w| w.as_str().expect("text")).collect();
    let [adapter, merged] = written[..] else { panic!("{done}") };
    let answer = |more: &[&str]| {
        let output =
            run(&[&["ask", CLIP, "Which way does the red circle move?", "--dtype", "f32", "--quiet"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out(&output)
    };
    assert_eq!(answer(&["--model", NANO, "--adapter", adapter]), answer(&["--model", merged]));
    let info = json(&["info", NANO, "--adapter", adapter, "--json"]);
    assert!(info.to_string().contains("a low-rank adapter"), "{info}");
    fails(&["ask", CLIP, "what?", "--model", TOY, "--adapter", adapter], 1, &["adapter_model.safetensors"]);
}

#[cfg(unix)]
#[test]
fn training_that_is_terminated_saves_first_and_goes_on() {
    let desk = Desk::new();
    let (recipe, folder) = (recipe(&desk, 100_000), desk.path("run"));
    let args = ["train", &recipe, "--model", NANO, "--out", &folder, "--json", "--quiet"];
    let child = zoetrope(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let checkpoint = Path::new(&folder).join("checkpoint/progress.json");
    while !checkpoint.is_file() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let output = child.wait_with_output().expect("the binary ends");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let done: serde_json::Value = serde_json::from_str(&out(&output)).expect("one object");
    let saved: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&checkpoint).expect("read")).expect("JSON");
    assert_eq!(done["steps"], saved["step"]);
    let until = (saved["step"].as_u64().expect("a step") + 1).to_string();
    let more = run(&[&args[..], &["--until", &until]].concat());
    let more: serde_json::Value = serde_json::from_str(&out(&more)).expect("one object");
    assert_eq!(more["steps"].to_string(), until);
}
