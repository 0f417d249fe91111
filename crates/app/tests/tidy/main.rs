//! Tidy: the habits of this workspace, checked as one test that lists every finding of every file.
//!
//! It compiles without any other crate: `just tidy`. A rule is a file of `rules/` with one function, from the
//! [`Workspace`] to its findings; each rule is tested on small files beside it. What exceeds a limit today is a row of
//! [`EXCEPTIONS`] with today's number, and numbers only go down. `target/tidy --ignored --nocapture` lists what the
//! exceptions still cover, and their rows with the numbers of now.

mod definitions;
mod exceptions;
mod finding;
mod manifest;
mod prose;
mod rules;
mod source;
mod workspace;

use std::path::Path;

use exceptions::EXCEPTIONS;
use finding::{Finding, left, open};
use workspace::Workspace;

fn workspace() -> Workspace {
    let workspace = Workspace::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    assert!(workspace.file("Cargo.toml").is_some(), "the root of the workspace was not found");
    workspace
}

fn findings(workspace: &Workspace) -> Vec<Finding> {
    rules::ALL.iter().flat_map(|rule| rule(workspace)).collect()
}

#[test]
fn the_workspace_is_tidy() {
    let open = open(&findings(&workspace()), EXCEPTIONS);
    assert!(open.is_empty(), "{} findings\n{}", open.len(), open.join("\n"));
}

#[test]
#[ignore = "lists what the exceptions cover, and never fails"]
fn what_is_left() {
    println!("\n{}", left(&findings(&workspace()), EXCEPTIONS).join("\n"));
}
