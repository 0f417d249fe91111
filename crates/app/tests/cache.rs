//! What is kept of films, end to end: found again under any name, listed, removed, and whole after every kill.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Media options of all commands here: more frames than the small model takes by itself.
const MEDIA: [&str; 6] = ["--fps", "2", "--max-frames", "1000", "--max-visual-tokens", "60000"];
const QUESTION: &str = "What is it?";

/// A folder of films, and a cache of its own.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Desk(tempfile::tempdir().expect("a folder"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zoetrope"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null()).env_remove("RUST_LOG");
        command.env("HF_HUB_OFFLINE", "1").env("XDG_CACHE_HOME", self.0.path().join("caches"));
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary starts")
    }

    fn json(&self, args: &[&str]) -> serde_json::Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", err(&output));
        serde_json::from_slice(&output.stdout).expect("exactly one JSON value on standard output")
    }

    /// The answer about a film, and whether the film was read again; tokens whose keys and values were reused.
    fn ask(&self, film: &str, more: &[&str]) -> (String, bool, u64) {
        let args = [&["ask", film, QUESTION, "--json", "--max-new-tokens", "6"], &MEDIA[..], more].concat();
        let output = self.run(&args);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let is_fresh = !err(&output).contains("features from the cache");
        let text = answer["answer"].as_str().expect("a text").to_string();
        (text, is_fresh, answer["tokens"]["reused"].as_u64().expect("a number"))
    }

    /// All files of the store.
    fn files(&self) -> Vec<PathBuf> {
        let store = self.0.path().join("caches/zoetrope/store");
        let folders = std::fs::read_dir(store).into_iter().flatten().flatten();
        let folders = folders.filter(|folder| folder.file_name() != "unfinished");
        folders
            .flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten())
            .map(|f| f.path())
            .collect()
    }

    fn bytes(&self) -> u64 {
        self.files().iter().map(|file| file.metadata().map_or(0, |found| found.len())).sum()
    }

    /// A film without compression, two frames per second: bars that move, every frame another.
    fn film(&self, name: &str, frames: usize, phase: usize) {
        let (width, height) = (112, 84);
        let mut bytes = format!("YUV4MPEG2 W{width} H{height} F2:1 Ip A1:1 C420jpeg\n").into_bytes();
        for frame in 0..frames {
            bytes.extend_from_slice(b"FRAME\n");
            let value = |at: usize| (at % width * 3 + at / width * 2 + frame * 7 + phase) % 220 + 16;
            bytes.extend((0..width * height).map(|at| value(at) as u8));
            for base in [90, 150] {
                bytes.extend(std::iter::repeat_n((base + frame % 60) as u8, width / 2 * (height / 2)));
            }
        }
        std::fs::write(self.0.path().join(name), bytes).expect("written");
    }
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_film_is_read_once_under_whatever_name_and_costs_what_was_planned() {
    let desk = Desk::new();
    desk.film("film.y4m", 60, 0);
    let plan = |more: &[&str]| desk.json(&[&["plan", "film.y4m", "--question", QUESTION], &MEDIA[..], more].concat());
    let planned = plan(&["--set", "prune=false"]);
    assert_eq!((&planned["media"][0]["cached"], &planned["disk_bytes"]["cached_tokens"]), (&false.into(), &0.into()));
    assert!(plan(&["--no-cache"]).get("disk_bytes").is_none());
    assert!(desk.files().is_empty(), "a plan keeps nothing");
    let unpruned = ["--set", "prune=false"];
    let (answer, is_fresh, reused) = desk.ask("film.y4m", &unpruned);
    assert!(is_fresh && reused == 0);
    assert_eq!(planned["disk_bytes"]["total"], desk.bytes(), "the disk has what was planned");
    std::fs::copy(desk.0.path().join("film.y4m"), desk.0.path().join("copy.y4m")).expect("copied");
    let (again, is_fresh, reused) = desk.ask("copy.y4m", &unpruned);
    assert!(!is_fresh && reused >= 256, "{reused}");
    assert_eq!(again, answer);
    let after = plan(&unpruned);
    assert_eq!((&after["media"][0]["cached"], &after["disk_bytes"]["cached_tokens"]), (&true.into(), &reused.into()));
    assert_eq!(after["disk_bytes"]["total"], planned["disk_bytes"]["total"]);
    let before = desk.files().len();
    assert_eq!(desk.ask("film.y4m", &["--no-cache"]), (desk.ask("film.y4m", &["--no-index"]).0, true, 0));
    assert_eq!(desk.files().len(), before, "and nothing was kept");
    // Another part, another precision: other features.
    assert!(desk.ask("film.y4m", &["--end", "20"]).1 && desk.ask("film.y4m", &["--dtype", "int8"]).1);
    // A changed film under the old name is another film.
    desk.film("film.y4m", 60, 1);
    assert!(desk.ask("film.y4m", &unpruned).1);
}

#[test]
fn what_is_kept_is_listed_and_removed() {
    let desk = Desk::new();
    assert_eq!(
        text(&desk.run(&["cache", "path"])).trim(),
        desk.0.path().join("caches/zoetrope/store").display().to_string()
    );
    for (name, phase) in [("one.y4m", 0), ("two.y4m", 5)] {
        desk.film(name, 60, phase);
        desk.ask(name, &[]);
    }
    let listing = desk.json(&["cache", "ls"]);
    let films = listing["films"].as_array().expect("films");
    assert_eq!((films.len(), &films[0]["model"]), (2, &"zoetrope-nano".into()));
    assert!(
        films
            .iter()
            .all(|film| film["features_bytes"].as_u64() > Some(0) && film["keys_values_bytes"].as_u64() > Some(0))
    );
    assert_eq!(listing["total_bytes"], desk.bytes());
    let said = text(&desk.run(&["cache", "ls"]));
    assert!(
        said.contains("one.y4m  ") && said.contains("zoetrope-nano  just now") && said.contains(" of at most "),
        "{said}"
    );
    let missing = desk.run(&["cache", "rm", "three.y4m"]);
    assert!(missing.status.code() == Some(1) && err(&missing).contains("nothing is kept of \"three.y4m\""));
    assert!(text(&desk.run(&["cache", "rm", "one.y4m"])).contains(" files, "));
    assert!(desk.ask("one.y4m", &[]).1 && !desk.ask("two.y4m", &[]).1);
    // A damaged file is found by whoever looks for it.
    let file = desk.files().into_iter().find(|file| file.extension().is_some_and(|e| e == "kv")).expect("a block");
    let mut bytes = std::fs::read(&file).expect("bytes");
    bytes[700] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    assert_eq!(desk.json(&["cache", "prune", "--check"])["files"], 1);
    assert!(!file.exists());
    let half = desk.bytes() / 2;
    desk.json(&["cache", "prune", "--to", &half.to_string()]);
    assert!(desk.bytes() <= half && desk.bytes() > 0);
    desk.json(&["cache", "rm", "--all"]);
    assert!(desk.files().is_empty());
    assert_eq!(desk.run(&["cache", "prune", "--to", "much"]).status.code(), Some(2));
}

/// Killed at twenty moments from the first frame to the last byte: the answer is right, nothing is left over, and what
/// is there is whole.
#[test]
fn a_question_that_was_killed_while_it_kept_things_leaves_a_whole_cache() {
    let desk = Desk::new();
    desk.film("film.y4m", 60, 0);
    let answer = desk.ask("film.y4m", &["--no-cache"]).0;
    let begun = std::time::Instant::now();
    desk.ask("film.y4m", &[]);
    let whole = begun.elapsed();
    let all = desk.files().len();
    let mut seen = Vec::new();
    for kill in 0..20u32 {
        desk.json(&["cache", "rm", "--all"]);
        let args = [&["ask", "film.y4m", QUESTION, "--max-new-tokens", "6"], &MEDIA[..]].concat();
        let mut child = desk.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a child");
        std::thread::sleep(whole.mul_f64(0.3) + whole.mul_f64(0.7) * kill / 20);
        child.kill().expect("killed");
        child.wait().expect("ended");
        seen.push(desk.files().len());
        assert_eq!(desk.json(&["cache", "prune", "--check"])["files"], 0, "kill {kill}: all files are whole");
        assert_eq!(desk.ask("film.y4m", &[]).0, answer, "kill {kill}");
        assert_eq!(desk.files().len(), all, "kill {kill}: the cache is complete again");
        assert_eq!(leftovers(desk.0.path()), 0, "kill {kill}");
    }
    assert!(seen.iter().any(|&files| files < all), "{seen:?} of {all}");
}

fn leftovers(desk: &Path) -> usize {
    std::thread::sleep(Duration::from_millis(1));
    std::fs::read_dir(desk.join("caches/zoetrope/store/unfinished")).map_or(0, Iterator::count)
}
