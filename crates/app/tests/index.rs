//! `zoetrope index`, end to end: features that are written, interrupted, found again, and refused.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Media options of all commands here: more frames than the small model takes by itself.
const MEDIA: [&str; 6] = ["--fps", "2", "--max-frames", "1000", "--max-visual-tokens", "60000"];

fn zoetrope(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zoetrope"));
    command.args(args).stdin(Stdio::null()).env_remove("RUST_LOG").env("HF_HUB_OFFLINE", "1");
    // Nothing is kept in the cache of the user.
    command.env("XDG_CACHE_HOME", "/dev/null/none");
    command
}

fn run(args: &[&str]) -> Output {
    zoetrope(&[args, &MEDIA].concat()).output().expect("the binary starts")
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(0), "{}", err(output));
    serde_json::from_slice(&output.stdout).expect("exactly one JSON value on standard output")
}

/// A film without compression, two frames per second: bars that move, every frame another.
fn film(folder: &Path, name: &str, frames: usize, (width, height): (usize, usize)) -> PathBuf {
    let mut bytes = format!("YUV4MPEG2 W{width} H{height} F2:1 Ip A1:1 C420jpeg\n").into_bytes();
    for frame in 0..frames {
        bytes.extend_from_slice(b"FRAME\n");
        bytes.extend((0..width * height).map(|at| ((at % width * 3 + at / width * 2 + frame * 7) % 220 + 16) as u8));
        for base in [90, 150] {
            bytes.extend(std::iter::repeat_n((base + frame % 60) as u8, width / 2 * (height / 2)));
        }
    }
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("written");
    path
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn features(film: &Path) -> PathBuf {
    PathBuf::from(format!("{}.zoetrope-features", film.display()))
}

/// What an answer is, without what differs from run to run.
fn answer(args: &[&str]) -> (serde_json::Value, String) {
    let output = run(&[&["ask", "--json", "--max-new-tokens", "6"], args].concat());
    let mut value = json(&output);
    value.as_object_mut().expect("an object").remove("timings");
    value["media"][0].as_object_mut().expect("an object").remove("features");
    (value, err(&output))
}

#[test]
fn an_answer_from_stored_features_is_the_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let film = film(folder.path(), "film.y4m", 24, (112, 84));
    let name = text(&film);
    let fresh = answer(&[&name, "What is it?"]);
    assert!(!fresh.1.contains("features from"), "{}", fresh.1);
    let output = run(&["index", &name]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains(" patches, 128 values each: up to about "), "{}", err(&output));
    let stored = answer(&[&name, "What is it?"]);
    assert!(stored.1.contains("features from ") && stored.1.contains("film.y4m.zoetrope-features"), "{}", stored.1);
    assert_eq!(stored.0, fresh.0);
    let refused = answer(&[&name, "What is it?", "--no-index"]);
    assert!(!refused.1.contains("features from"), "{}", refused.1);
    // A plan says what a further question costs: its tokens, and no frame to encode.
    let plan = json(&run(&["plan", &name, "--question", "What is it?"]));
    assert_eq!(plan["frames_to_encode"], 0);
    assert_eq!(plan["tokens"]["video"], fresh.0["tokens"]["video"], "pruning is counted");
    assert!(plan["media"][0]["features"].as_str().is_some_and(|file| file.ends_with(".zoetrope-features")));
    let plan = json(&run(&["plan", &name, "--no-index"]));
    assert_eq!(plan["frames_to_encode"], 24);
    // A copy is the same film; another plan, precision or film is not what the features are of.
    let copy = folder.path().join("copy.y4m");
    std::fs::copy(&film, &copy).expect("copied");
    std::fs::copy(features(&film), features(&copy)).expect("copied");
    assert!(answer(&[&text(&copy), "What is it?"]).1.contains("features from "));
    let other = answer(&[&name, "What is it?", "--end", "5"]).1;
    assert!(other.contains("not used: it has features of other frames"), "{other}");
    let other = answer(&[&name, "What is it?", "--dtype", "int8"]).1;
    assert!(other.contains("not used: it has features of another model"), "{other}");
    let mut bytes = std::fs::read(&film).expect("the film");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&film, bytes).expect("written");
    let changed = answer(&[&name, "What is it?"]).1;
    assert!(changed.contains("is not the film that its features are of"), "{changed}");
}

#[test]
fn an_index_that_was_killed_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let film = text(&film(folder.path(), "film.y4m", 60, (224, 168)));
    let whole = folder.path().join("whole");
    assert_eq!(run(&["index", &film, "--out", &text(&whole)]).status.code(), Some(0));
    let wanted = std::fs::read(&whole).expect("features");
    let place = folder.path().join("killed");
    let journal = folder.path().join("killed.journal");
    let lines = || std::fs::read_to_string(&journal).map_or(0, |text| text.lines().count());
    let mut seen = 0;
    for kill in 0..4 {
        let mut child = zoetrope(&[&["index", &film, "--out", &text(&place)], &MEDIA[..]].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let before = lines();
        // The first one dies at some moment, the others after a checkpoint of their own.
        while child.try_wait().expect("a child").is_none() && (kill == 0 || lines() <= before) {
            std::thread::sleep(Duration::from_millis(5));
            if kill == 0 && journal.exists() {
                break;
            }
        }
        let _ = child.kill();
        child.wait().expect("a child");
        seen = lines().max(seen);
        assert!(place.exists() || lines() >= before, "nothing that was safe is lost");
    }
    let output = run(&["index", &film, "--out", &text(&place), "--json"]);
    let indexed = json(&output);
    assert_eq!(std::fs::read(&place).expect("features"), wanted);
    assert_eq!((&indexed["frames"], indexed["bytes"].as_u64()), (&60.into(), Some(wanted.len() as u64)));
    assert!(seen < 2 || indexed["resumed_from"].as_u64() > Some(0), "{indexed}");
    assert!(!journal.exists(), "the journal goes when the file is there");
    // Killed between the file and the end of its journal.
    std::fs::write(&journal, "left").expect("written");
    assert_eq!(run(&["index", &film, "--out", &text(&place)]).status.code(), Some(0));
    assert!(!journal.exists() && std::fs::read(&place).expect("features") == wanted);
}

#[test]
fn what_may_still_be_wanted_is_not_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let film = film(folder.path(), "film.y4m", 4, (112, 84));
    let name = text(&film);
    assert_eq!(run(&["index", &name]).status.code(), Some(0));
    let first = std::fs::read(features(&film)).expect("features");
    let refused = run(&["index", &name, "--end", "1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("it has features of other frames"), "{}", err(&refused));
    assert!(err(&refused).contains("--overwrite"), "{}", err(&refused));
    assert_eq!(std::fs::read(features(&film)).expect("features"), first);
    assert_eq!(run(&["index", &name, "--end", "1", "--overwrite"]).status.code(), Some(0));
    assert_ne!(std::fs::read(features(&film)).expect("features"), first);
    let refused = run(&["index", &name, "--out", &name, "--overwrite"]);
    assert!(err(&refused).contains("no file of features"), "{}", err(&refused));
    let picture = folder.path().join("a.png");
    image::RgbImage::new(40, 30).save(&picture).expect("written");
    assert!(err(&run(&["index", &text(&picture)])).contains("is a picture"));
    let half = folder.path().join("half");
    assert_eq!(run(&["index", &name, "--out", &text(&half), "--store", "f16"]).status.code(), Some(0));
    let answered = answer(&[&name, "What is it?", "--index", &text(&half)]).1;
    assert!(answered.contains("features from ") && answered.contains("half"), "{answered}");
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_film() {
    let folder = tempfile::tempdir().expect("a folder");
    let peak = |frames: usize| {
        let film = film(folder.path(), &format!("{frames}.y4m"), frames, (112, 84));
        let indexed = json(&run(&["index", &text(&film), "--json"]));
        (indexed["peak_memory_bytes"].as_u64().expect("Linux tells"), indexed["bytes"].as_u64().expect("a size"))
    };
    let ((short, few), (long, many)) = (peak(60), peak(600));
    assert!(many > 5 * few, "{many} bytes of features, {few} of the short film");
    assert!(long < short + (6 << 20), "{long} bytes of memory for 600 frames, {short} for 60");
}
