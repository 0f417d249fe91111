//! Rules for the workspace as a whole: arrows between rooms, names and sizes of files, doors.

use std::collections::BTreeSet;

use crate::{File, Finding};

/// Which rooms a room may import. `app` is at the top, `kernels` and `text` know nothing of ours.
const ARROWS: [(&str, &[&str]); 7] = [
    ("kernels", &[]),
    ("text", &[]),
    ("media", &["kernels"]),
    ("models", &["kernels", "media", "text"]),
    ("engine", &["models", "media", "text"]),
    ("lab", &["engine", "models", "media", "text", "kernels"]),
    ("app", &["engine", "lab", "models", "media", "text"]),
];
/// Libraries that belong to some rooms only: (start of the name, rooms).
const LIBRARIES: [(&str, &[&str]); 8] = [
    ("candle", &["models", "engine", "lab", "app"]),
    ("anyhow", &["app"]),
    ("clap", &["app"]),
    ("indicatif", &["app"]),
    ("tokio", &["app"]),
    ("tracing-subscriber", &["app"]),
    ("ureq", &["models"]),
    ("memmap2", &["kernels"]),
];
/// What a name says nothing about.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "core", "prelude", "misc"];
/// Largest file, but for model weights.
const FILE_BYTES: u64 = 5 << 20;
const LARGE_FILES: &str = "assets/models/";
/// What every family folder holds, so that whoever knows one knows all.
const FAMILY_FILES: [&str; 9] = [
    "config.rs",
    "vision.rs",
    "language.rs",
    "prompt.rs",
    "processor.rs",
    "names.rs",
    "mod.rs",
    "tests.rs",
    "README.md",
];

pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        names_and_sizes(file, &mut findings);
        if let Some(room) = file.path.strip_prefix("crates/").and_then(|path| path.strip_suffix("/Cargo.toml")) {
            arrows(file, room, &mut findings);
        }
        doors(file, &mut findings);
    }
    family_folders(files, &mut findings);
    findings
}

fn names_and_sizes(file: &File, findings: &mut Vec<Finding>) {
    let folders = file.path.split('/').rev().skip(1);
    if let Some(name) = folders.chain([file.stem()]).find(|name| EMPTY_NAMES.contains(name)) {
        findings.push(Finding::new("empty-name", &file.path, 1, format!("\"{name}\" does not say what is inside")));
    }
    if file.bytes > FILE_BYTES && !file.path.starts_with(LARGE_FILES) {
        let text = format!("{} bytes, at most {FILE_BYTES} outside {LARGE_FILES}", file.bytes);
        findings.push(Finding::new("file-bytes", &file.path, file.bytes as usize, text));
    }
}

/// Names in the dependency tables of a manifest, also those of tests and of features.
fn dependencies(manifest: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = table.ends_with("dependencies");
            if let Some((_, name)) = table.split_once("dependencies.") {
                names.insert(name);
            }
        } else if inside && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            if !name.is_empty() {
                names.insert(name);
            }
        }
    }
    names
}

fn arrows(file: &File, room: &str, findings: &mut Vec<Finding>) {
    let Some((_, allowed)) = ARROWS.iter().find(|arrow| arrow.0 == room) else {
        let text = format!("room \"{room}\" is not in the table of arrows");
        findings.push(Finding::new("arrow", &file.path, 1, text));
        return;
    };
    for name in dependencies(&file.text) {
        let ours = name.strip_prefix("zoetrope-").filter(|other| !allowed.contains(other));
        let strange = LIBRARIES.iter().find(|library| name.starts_with(library.0) && !library.1.contains(&room));
        if ours.is_some() || strange.is_some() {
            findings.push(Finding::new("arrow", &file.path, 1, format!("{room} may not import {name}")));
        }
    }
}

/// A library's first page says what the room is, what it imports and what is absent; all but the kernels forbid unsafe.
fn doors(file: &File, findings: &mut Vec<Finding>) {
    let Some((room, door)) = file.path.strip_prefix("crates/").and_then(|path| path.split_once("/src/")) else {
        return;
    };
    if door != "lib.rs" && door != "main.rs" {
        return;
    }
    if room != "kernels" && !file.text.lines().any(|line| line == "#![forbid(unsafe_code)]") {
        findings.push(Finding::new("forbid-unsafe", &file.path, 1, "no `#![forbid(unsafe_code)]`"));
    }
    let page: String = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
    let page = page.to_lowercase();
    if door == "lib.rs" && !(page.contains("import") && page.contains("absent")) {
        let text = "the first page does not say what the room imports and what is deliberately absent";
        findings.push(Finding::new("door-page", &file.path, 1, text));
    }
}

fn family_folders(files: &[File], findings: &mut Vec<Finding>) {
    let root = "crates/models/src/families/";
    let inside: Vec<&str> = files.iter().filter_map(|file| file.path.strip_prefix(root)).collect();
    let families: BTreeSet<&str> = inside.iter().filter_map(|path| path.split_once('/')).map(|pair| pair.0).collect();
    for family in families {
        for wanted in FAMILY_FILES {
            let folder = wanted.strip_suffix(".rs").map(|stem| format!("{family}/{stem}/mod.rs"));
            let file = format!("{family}/{wanted}");
            if !inside.iter().any(|path| *path == file || Some(*path) == folder.as_deref()) {
                findings.push(Finding::new("family-files", &format!("{root}{family}"), 1, format!("no {wanted}")));
            }
        }
    }
}

#[test]
fn upward_arrows_and_strange_libraries_are_found() {
    let manifest = "[package]\nname = \"zoetrope-media\"\n[dependencies]\nzoetrope-kernels = { workspace = true }\n\
                    zoetrope-engine.workspace = true\n[dev-dependencies]\nclap = \"4\"\n[dependencies.candle-core]\n\
                    version = \"1\"\n[features]\nzoetrope-lab = []\n";
    let file = File { path: "crates/media/Cargo.toml".into(), bytes: 0, text: manifest.into() };
    let texts: Vec<String> = check(&[file]).into_iter().map(|finding| finding.text).collect();
    let wanted = ["candle-core", "clap", "zoetrope-engine"].map(|name| format!("media may not import {name}"));
    assert_eq!(texts, wanted);
}

#[test]
fn doors_names_and_sizes_are_found() {
    let file = |path: &str, bytes: u64, text: &str| File { path: path.into(), bytes, text: text.into() };
    let rules = |file| check(&[file]).into_iter().map(|finding| finding.rule).collect::<Vec<_>>();
    assert_eq!(rules(file("crates/text/src/lib.rs", 0, "//! Text.\n")), ["forbid-unsafe", "door-page"]);
    let good = "//! Text. Imports nothing of ours.\n//! Deliberately absent: pictures.\n#![forbid(unsafe_code)]\n";
    assert!(rules(file("crates/text/src/lib.rs", 0, good)).is_empty());
    assert_eq!(rules(file("crates/text/src/utils.rs", 0, "")), ["empty-name"]);
    assert_eq!(rules(file("crates/text/src/common/a.rs", 0, "")), ["empty-name"]);
    assert_eq!(rules(file("assets/clips/a.mp4", 6 << 20, "")), ["file-bytes"]);
    assert!(rules(file("assets/models/a/model.safetensors", 60 << 20, "")).is_empty());
}
