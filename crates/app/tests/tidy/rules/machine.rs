//! Paths of a build machine and hosts of package registries say where something was made, not how.

use crate::finding::Finding;
use crate::workspace::{File, Workspace};

/// Each in two halves, so that this file does not find itself.
const PLACES: [(&str, &str); 8] = [
    ("/wo", "rk/"),
    ("/tmp", "/zt"),
    ("/ro", "ot/"),
    ("cra", "tes.io"),
    ("py", "pi.org"),
    ("pythonho", "sted.org"),
    ("registry.npm", "js.org"),
    ("deb.deb", "ian.org"),
];

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let files = workspace.files.iter().filter(|file| !file.path.ends_with("Cargo.lock"));
    files.filter_map(|file| Finding::places("machine-place", &file.path, &places(file))).collect()
}

fn places(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    for (a, b) in PLACES {
        let place = format!("{a}{b}");
        let lines = file.text.match_indices(&place).map(|(at, _)| file.text[..at].matches('\n').count() + 1);
        found.extend(lines.map(|line| format!("line {line}: {place}")));
    }
    found
}

#[test]
fn a_path_of_the_build_machine_is_found_in_any_file() {
    let text = ["# see\n# /wo", "rk/main"].concat();
    let findings = check(&Workspace::of(&[("justfile", &text), ("Cargo.lock", &text)]));
    assert_eq!(findings.len(), 1);
    assert!(findings[0].text.starts_with("line 2"), "{}", findings[0].text);
}
