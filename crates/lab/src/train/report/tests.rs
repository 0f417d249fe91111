//! Runs of made-up numbers: what is on disk after kills, and what the page says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use zoetrope_media::Rgb;

use super::*;

fn run_record() -> RunRecord {
    RunRecord { steps: 10, recipe: "lr = 0.5 # <fast>".into() }
}

fn step(step: u64) -> StepMetrics {
    let named = |pairs: &[(&str, f64)]| pairs.iter().map(|(name, value)| (name.to_string(), *value)).collect();
    StepMetrics {
        step,
        stage: if step <= 4 { "words".into() } else { "clips & all".into() },
        loss: 3.0 / step as f64,
        loss_by_kind: named(&[("a<b", 2.0 / step as f64), ("pictures", 4.0 / step as f64)]),
        lr: named(&[("language", 1e-4), ("vision", 1e-5)]),
        gradient_norm: 1.5,
        gradient_norm_by_group: named(&[("language", 1.2), ("vision", 0.9)]),
        samples: 4,
        tokens: 512,
        tokens_per_second: 256.0,
        seconds: 2.0,
        waited: 0.5,
        memory: 2_000_000_000,
        rewards: BTreeMap::new(),
    }
}

fn lines(folder: &Path) -> String {
    fs::read_to_string(folder.join(jsonl::FILE)).unwrap()
}

fn page(folder: &Path) -> String {
    fs::read_to_string(folder.join(PAGE)).unwrap()
}

/// Steps `from` to `to`, as a process that goes on after `from - 1` steps writes them.
fn train(folder: &Path, from: u64, to: u64) -> Metrics {
    let mut metrics = Metrics::open(folder, from - 1, &run_record()).unwrap();
    for number in from..=to {
        metrics.step(&step(number)).unwrap();
    }
    metrics
}

#[test]
fn a_run_that_was_killed_and_resumed_has_the_lines_of_one_that_was_not() {
    let (whole, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    train(whole.path(), 1, 9);
    train(killed.path(), 1, 7);
    // The kill came in the middle of a write, and the checkpoint is that of step 5.
    let mut torn = lines(killed.path());
    torn.push_str(r#"{"record":"step","step":8,"sta"#);
    fs::write(killed.path().join(jsonl::FILE), torn).unwrap();
    train(killed.path(), 6, 9);
    assert_eq!(lines(killed.path()), lines(whole.path()));
    assert_eq!(lines(whole.path()).lines().count(), 1 + 9);
    // A kill before the first step, and a run that is opened at its end.
    train(killed.path(), 1, 0);
    assert_eq!(lines(killed.path()).lines().count(), 1);
    train(whole.path(), 10, 9);
    assert_eq!(lines(whole.path()).lines().count(), 1 + 9);
}

#[test]
fn a_changed_recipe_replaces_the_first_line_alone() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), 1, 3);
    let before = lines(folder.path());
    let longer = RunRecord { steps: 20, recipe: "another, longer recipe".into() };
    Metrics::open(folder.path(), 2, &longer).unwrap();
    let after = lines(folder.path());
    assert!(after.lines().next().unwrap().contains("another, longer recipe"), "{after}");
    assert_eq!(after.lines().skip(1).collect::<Vec<_>>(), before.lines().skip(1).take(2).collect::<Vec<_>>());
}

#[test]
fn a_damaged_line_is_named() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), 1, 3);
    let text = lines(folder.path()).replacen("\"step\":2", "\"step\":two", 1);
    fs::write(folder.path().join(jsonl::FILE), text).unwrap();
    for error in [
        Metrics::open(folder.path(), 3, &run_record()).err().unwrap(),
        write_report(&[folder.path()], &folder.path().join("x.html")).err().unwrap(),
    ] {
        let text = error.to_string();
        assert!(text.contains("metrics.jsonl") && text.contains("line 3 "), "{text}");
    }
    assert!(!folder.path().join("x.html").exists());
}

#[test]
fn values_that_are_no_numbers_and_records_of_later_versions_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut metrics = train(folder.path(), 1, 2);
    metrics.step(&StepMetrics { loss: f64::NAN, ..step(3) }).unwrap();
    let mut text = lines(folder.path());
    assert!(text.contains("\"loss\":null"), "{text}");
    text.push_str("{\"record\":\"weather\",\"rain\":true}\n");
    fs::write(folder.path().join(jsonl::FILE), text).unwrap();
    let log = RunLog::read(folder.path()).unwrap();
    assert!(log.loss.len() == 3 && log.loss[2].1.is_nan() && log.step == 3);
    train(folder.path(), 4, 4).report().unwrap();
}

/// Payloads of an event file. Sums are checked by the reader of the `tensorboard` package in `reference/`.
fn events(folder: &Path) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut files: Vec<_> = fs::read_dir(folder.join(EVENTS)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let payloads = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        let (mut at, mut all) = (0, Vec::new());
        while at < bytes.len() {
            let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
            all.push(bytes[at + 12..at + 12 + length].to_vec());
            at += 12 + length + 4;
        }
        assert_eq!(at, bytes.len());
        all
    };
    files.iter().map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), payloads(path))).collect()
}

#[test]
fn a_resumed_run_has_a_later_event_file_that_takes_back_later_steps() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), 1, 7);
    train(folder.path(), 6, 9);
    let files = events(folder.path());
    let [(first_name, first), (second_name, second)] = files.as_slice() else { panic!("{}", files.len()) };
    assert!(first_name < second_name);
    // Version, recipe, seven steps; version, start of a session at step 6, four steps.
    assert_eq!((first.len(), second.len()), (1 + 1 + 7, 1 + 1 + 4));
    let has = |payload: &[u8], text: &str| payload.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has(&first[0], "brain.Event:2") && has(&first[1], "lr = 0.5"));
    for tag in ["loss/all", "loss/pictures", "learning_rate/vision", "gradient_norm/all", "run/tokens_per_second"] {
        assert!(has(&first[2], tag), "{tag}");
    }
    // Field 2 (step) is 6; field 7 (session log) has status 1, START.
    assert!(second[1].ends_with(&[0x10, 6, 0x3a, 2, 0x08, 1]), "{:?}", second[1]);
}

#[test]
fn the_page_of_a_run_shows_everything_and_loads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut metrics = train(folder.path(), 1, 8);
    for (step, accuracy) in [(4, 0.25), (8, 0.75)] {
        let scores = BTreeMap::from([
            ("accuracy".into(), accuracy),
            ("accuracy of order".into(), 0.5),
            ("chance".into(), 0.125),
        ]);
        metrics.eval(&EvalMetrics { step, set: "drawn".into(), items: 48, scores }).unwrap();
        let image = Rgb { width: 640, height: 10, data: vec![200; 640 * 10 * 3] };
        let answer = if step == 4 { "<b>blue</b>" } else { "A red circle." };
        let frames = [(&image, Some(0.5)), (&image, Some(1.5))];
        let (question, expected) = ("What is it? <script>", Some("red circle"));
        metrics.example(&Example { step, question, expected, answer, frames: &frames }).unwrap();
    }
    let page_file = metrics.report().unwrap();
    let page = page(folder.path());
    assert_eq!(page_file, default_page(folder.path()));
    for shown in [
        "8 of 10 steps",
        "words",
        "clips &amp; all",
        "a&lt;b",
        "Learning rate",
        "Gradient norm",
        "Held out: drawn",
        "48 items",
        "accuracy of order",
        "What is it? &lt;script&gt;",
        "&lt;b&gt;blue&lt;/b&gt;",
        "A red circle.",
        "Expected: red circle",
        "class=wrong",
        "class=right",
        "frame at 0.5 s",
        "data:image/jpeg;base64,/9j/",
        "lr = 0.5 # &lt;fast&gt;",
        "2 GB",
        "16 s",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
    for absent in ["What is it? <script>", "<b>blue", "a<b", "http:", "https:"] {
        assert!(!page.contains(absent), "{absent}");
    }
    // A frame is kept once, at most 320 pixels wide.
    let kept: Vec<_> = fs::read_dir(folder.path().join(frames::FOLDER)).unwrap().collect();
    assert_eq!(kept.len(), 1);
    let kept = image::open(kept[0].as_ref().unwrap().path()).unwrap();
    assert_eq!((kept.width(), kept.height()), (320, 5));
}

#[test]
fn several_runs_are_compared_by_name() {
    let place = tempfile::tempdir().unwrap();
    let folders = ["a/run", "b/run", "c"].map(|name| place.path().join(name));
    for (folder, steps) in folders.iter().zip([9, 5, 3]) {
        fs::create_dir_all(folder).unwrap();
        train(folder, 1, steps);
    }
    let page = place.path().join("compared.html");
    write_report(&folders.each_ref().map(|folder| folder.as_path()), &page).unwrap();
    let page = fs::read_to_string(page).unwrap();
    for shown in ["3 runs compared", "run (2)", ">c<", "pictures", "vision"] {
        assert!(page.contains(shown), "{shown}");
    }
    let empty = place.path().join("a");
    let error = write_report(&[&folders[2], &empty], &place.path().join("x.html")).unwrap_err().to_string();
    assert!(error.contains("metrics.jsonl") && error.contains("no such file"), "{error}");
}
