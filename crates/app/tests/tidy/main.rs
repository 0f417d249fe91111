//! Tidy: the habits of this workspace, checked as a test. Every finding of every file comes in one list.
//!
//! Run alone, without building anything else: `just tidy`. Limits only go down: an exception in [`EXCEPTIONS`] names
//! today's number, and a number that has fallen must be lowered there too.

mod rules;
mod scan;
mod workspace;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// (rule, path, number): what exceeded a limit when the rule was made, with its number then.
const EXCEPTIONS: &[(&str, &str, usize)] =
    &[("file-lines", "crates/media/src/clip.rs", 473), ("file-lines", "crates/media/src/stream.rs", 412)];

/// One thing that is not as it should be.
#[derive(Debug)]
struct Finding {
    /// Name of the rule, as in [`EXCEPTIONS`].
    rule: &'static str,
    /// Path from the root of the workspace.
    path: String,
    /// How much: lines for sizes, otherwise the number of places in the file.
    amount: usize,
    /// What and where, for the person who mends it.
    text: String,
}

impl Finding {
    fn new(rule: &'static str, path: &str, amount: usize, text: impl Into<String>) -> Finding {
        Finding { rule, path: path.to_owned(), amount, text: text.into() }
    }
}

/// A file of the workspace; `text` is empty for anything that is not UTF-8.
struct File {
    path: String,
    bytes: u64,
    text: String,
}

impl File {
    /// The file's name without its last extension.
    fn stem(&self) -> &str {
        Path::new(&self.path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Everything git tracks or would track; without git, everything outside build folders.
fn files(root: &Path) -> Vec<File> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let mut paths: Vec<String> = match listed {
        Some(list) => list.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect(),
        None => walk(root, ""),
    };
    paths.sort();
    paths.dedup();
    paths.into_iter().filter_map(|path| read(root, path)).collect()
}

/// A listed file may have been deleted in the work tree.
fn read(root: &Path, path: String) -> Option<File> {
    let bytes = std::fs::read(root.join(&path)).ok()?;
    let length = bytes.len() as u64;
    Some(File { path, bytes: length, text: String::from_utf8(bytes).unwrap_or_default() })
}

fn walk(root: &Path, under: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(root.join(under)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if under.is_empty() { name.clone() } else { format!("{under}/{name}") };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && name != "target" && name != ".git" => paths.extend(walk(root, &path)),
            Ok(kind) if kind.is_file() => paths.push(path),
            _ => {}
        }
    }
    paths
}

/// Findings that no exception covers, and exceptions whose number is no longer the number.
fn open(findings: Vec<Finding>, exceptions: &[(&str, &str, usize)]) -> Vec<String> {
    let mut worst: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for finding in &findings {
        let most = worst.entry((finding.rule, &finding.path)).or_default();
        *most = finding.amount.max(*most);
    }
    let allowed = |rule: &str, path: &str| exceptions.iter().find(|entry| entry.0 == rule && entry.1 == path);
    let mut open: Vec<String> = findings
        .iter()
        .filter(|finding| allowed(finding.rule, &finding.path).is_none_or(|entry| finding.amount > entry.2))
        .map(|finding| format!("{}: {}: {}", finding.path, finding.rule, finding.text))
        .collect();
    for (rule, path, number) in exceptions {
        let now = worst.get(&(*rule, *path)).copied().unwrap_or(0);
        if now < *number {
            open.push(format!("{path}: {rule}: the exception says {number}, it is {now} now: lower it"));
        }
    }
    open.sort();
    open
}

#[test]
fn the_workspace_is_tidy() {
    let files = files(&root());
    assert!(files.iter().any(|file| file.path == "Cargo.toml"), "the root of the workspace was not found");
    let mut findings = workspace::check(&files);
    let test_files = scan::test_files(&files);
    for file in &files {
        findings.extend(rules::check(file, test_files.contains(&file.path)));
    }
    let open = open(findings, EXCEPTIONS);
    assert!(open.is_empty(), "{} findings\n{}", open.len(), open.join("\n"));
}

#[test]
fn exceptions_only_ratchet_down() {
    let finding = |amount| vec![Finding::new("file-lines", "a.rs", amount, "long")];
    assert_eq!(open(finding(500), &[]).len(), 1);
    assert_eq!(open(finding(500), &[("file-lines", "a.rs", 500)]).len(), 0);
    assert_eq!(open(finding(501), &[("file-lines", "a.rs", 500)]).len(), 1);
    assert!(open(finding(450), &[("file-lines", "a.rs", 500)])[0].contains("lower it"));
    assert!(open(Vec::new(), &[("file-lines", "a.rs", 500)])[0].contains("it is 0 now"));
}
