//! Switched-off lints, `unsafe` and `unwrap`: what the compiler and clippy cannot check for us.

use crate::finding::Finding;
use crate::source::{Source, after_matching, places};
use crate::workspace::{File, Workspace};

/// The rooms whose sources may say `unsafe`.
pub(super) const UNSAFE_ROOMS: [&str; 2] = ["kernels", "system"];

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, source) in workspace.rust() {
        reasons(file, source, &mut findings);
        unsafety(file, source, &mut findings);
    }
    for (file, source) in workspace.shipped() {
        let calls = [".unwrap()", ".expect("].iter().flat_map(|call| source.shipped.match_indices(call));
        let found: Vec<String> = calls.map(|(at, call)| format!("line {}: {call}", source.line(at))).collect();
        findings.extend(Finding::places("unwrap", &file.path, &found));
    }
    findings
}

/// `#[allow(...)]` and `#[expect(...)]` say why.
fn reasons(file: &File, source: &Source, findings: &mut Vec<Finding>) {
    for mark in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
        for (at, _) in source.code.match_indices(mark) {
            let inside = &source.code[at..after_matching(&source.code, at + mark.len() - 1)];
            if !inside.contains("reason") {
                let text = format!("line {}: a lint is switched off without `reason = \"...\"`", source.line(at));
                findings.push(Finding::new("allow-reason", &file.path, 1, text));
            }
        }
    }
}

/// Few rooms say `unsafe`, and each place says why it is right.
fn unsafety(file: &File, source: &Source, findings: &mut Vec<Finding>) {
    let room = file.room().map_or("", |(room, _)| room);
    let lines: Vec<&str> = source.all.lines().collect();
    for at in places(&source.code, "unsafe") {
        let line = source.line(at);
        if !UNSAFE_ROOMS.contains(&room) {
            let text = format!("line {line}: unsafe outside {}", UNSAFE_ROOMS.join(", "));
            findings.push(Finding::new("unsafe", &file.path, 1, text));
            continue;
        }
        let near = &lines[line.saturating_sub(7)..line];
        if !near.iter().any(|line| line.contains("SAFETY:") || line.contains("# Safety")) {
            let text = format!("line {line}: unsafe without a SAFETY sentence in the six lines before");
            findings.push(Finding::new("safety-comment", &file.path, 1, text));
        }
    }
}

#[cfg(test)]
fn rules(path: &str, text: &str) -> Vec<&'static str> {
    check(&Workspace::of(&[(path, text)])).iter().map(|finding| finding.rule).collect()
}

#[test]
fn lints_unsafe_and_unwrap_are_found() {
    let media = |text: &str| rules("crates/media/src/a.rs", text);
    assert_eq!(media("fn f() { g().unwrap(); }"), ["unwrap"]);
    assert_eq!(media("fn f() { g().expect(\"here\"); }"), ["unwrap"]);
    assert_eq!(media("#[allow(dead_code)]\nfn f() {}"), ["allow-reason"]);
    assert!(media("#[allow(dead_code, reason = \"why\")]\nfn f() {}").is_empty());
    assert_eq!(media("fn f() { unsafe { g() } }"), ["unsafe"]);
    assert!(media("#![forbid(unsafe_code)]\n#[cfg(test)]\nmod tests { fn g() { h().unwrap() } }").is_empty());
}

#[test]
fn unsafe_needs_a_safety_sentence() {
    for room in UNSAFE_ROOMS {
        let path = format!("crates/{room}/src/a.rs");
        assert_eq!(rules(&path, "fn f() { unsafe { g() } }"), ["safety-comment"]);
        assert!(rules(&path, "fn f() {\n    // SAFETY: g is.\n    unsafe { g() }\n}").is_empty());
    }
}
