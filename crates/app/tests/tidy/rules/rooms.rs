//! Arrows between rooms (our crates), and the first page of each.

use super::lints::UNSAFE_ROOMS;
use crate::finding::Finding;
use crate::manifest::dependencies;
use crate::workspace::{File, Workspace};

/// Which rooms a room may import: `app` is at the top, the first four know nothing of ours.
const ARROWS: [(&str, &[&str]); 10] = [
    ("system", &[]),
    ("kernels", &[]),
    ("text", &["system"]),
    ("hub", &[]),
    ("media", &["system", "kernels"]),
    ("models", &["system", "kernels", "media", "text"]),
    ("engine", &["models", "media", "text", "system"]),
    ("serve", &["engine", "hub", "media", "models"]),
    ("lab", &["engine", "models", "media", "kernels", "system"]),
    ("app", &["engine", "lab", "models", "media", "hub", "serve", "system"]),
];
/// Libraries that belong to some rooms only: (start of the name, rooms).
const LIBRARIES: [(&str, &[&str]); 10] = [
    ("candle", &["models", "engine", "lab", "app"]),
    ("anyhow", &["app"]),
    ("clap", &["app"]),
    ("indicatif", &["app"]),
    ("tokio", &["serve"]),
    ("tracing-subscriber", &["app"]),
    ("ureq", &["hub"]),
    ("memmap2", &["system"]),
    ("landlock", &["system"]),
    ("seccompiler", &["system"]),
];

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &workspace.files {
        match file.room() {
            Some((room, "Cargo.toml")) => arrows(file, room, &mut findings),
            Some((room, "src/lib.rs" | "src/main.rs")) => door(file, room, &mut findings),
            _ => {}
        }
    }
    findings
}

fn arrows(file: &File, room: &str, findings: &mut Vec<Finding>) {
    let Some((_, allowed)) = ARROWS.iter().find(|arrow| arrow.0 == room) else {
        let text = format!("room \"{room}\" is not in the table of arrows");
        findings.push(Finding::new("arrow", &file.path, 1, text));
        return;
    };
    for (_, name) in dependencies(&file.text) {
        let ours = name.strip_prefix("zoetrope-").filter(|other| !allowed.contains(other));
        let strange = LIBRARIES.iter().find(|library| name.starts_with(library.0) && !library.1.contains(&room));
        if ours.is_some() || strange.is_some() {
            findings.push(Finding::new("arrow", &file.path, 1, format!("{room} may not import {name}")));
        }
    }
}

/// A library's first page says what the room is, what it imports and what is absent; nearly all forbid `unsafe`.
fn door(file: &File, room: &str, findings: &mut Vec<Finding>) {
    if !UNSAFE_ROOMS.contains(&room) && !file.text.lines().any(|line| line == "#![forbid(unsafe_code)]") {
        findings.push(Finding::new("forbid-unsafe", &file.path, 1, "no `#![forbid(unsafe_code)]`"));
    }
    let page: String = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
    let page = page.to_lowercase();
    if file.stem() == "lib" && !(page.contains("import") && page.contains("absent")) {
        let text = "the first page does not say what the room imports and what is deliberately absent";
        findings.push(Finding::new("door-page", &file.path, 1, text));
    }
}

#[test]
fn upward_arrows_and_strange_libraries_are_found() {
    let manifest = "[package]\nname = \"zoetrope-media\"\n[dependencies]\nzoetrope-models = { workspace = true }\n\
                    zoetrope-engine.workspace = true\n[dev-dependencies]\nclap = \"4\"\n[dependencies.candle-core]\n\
                    version = \"1\"\n[features]\nzoetrope-lab = []\n";
    let findings = check(&Workspace::of(&[("crates/media/Cargo.toml", manifest)]));
    let texts: Vec<String> = findings.into_iter().map(|finding| finding.text).collect();
    let wanted = ["zoetrope-models", "zoetrope-engine", "clap", "candle-core"]
        .map(|name| format!("media may not import {name}"));
    assert_eq!(texts, wanted);
}

#[test]
fn first_pages_are_read() {
    let rules = |text: &str| -> Vec<&str> {
        check(&Workspace::of(&[("crates/text/src/lib.rs", text)])).iter().map(|finding| finding.rule).collect()
    };
    assert_eq!(rules("//! Text.\n"), ["forbid-unsafe", "door-page"]);
    let good = "//! Text. Imports nothing of ours.\n//! Deliberately absent: pictures.\n#![forbid(unsafe_code)]\n";
    assert!(rules(good).is_empty());
}
