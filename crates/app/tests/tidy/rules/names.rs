//! Names of folders and files say what is inside.

use crate::finding::Finding;
use crate::workspace::Workspace;

const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "core", "prelude", "misc"];

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &workspace.files {
        let mut names = file.folder().split('/').chain([file.stem()]);
        if let Some(name) = names.find(|name| EMPTY_NAMES.contains(name)) {
            findings.push(Finding::new("empty-name", &file.path, 1, format!("\"{name}\" does not say what is inside")));
        }
    }
    findings
}

#[test]
fn empty_names_of_files_and_folders_are_found() {
    let files = [("crates/text/src/utils.rs", ""), ("crates/text/src/common/a.rs", ""), ("a/ours.rs", "")];
    assert_eq!(check(&Workspace::of(&files)).len(), 2);
}
