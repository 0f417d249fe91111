//! The files that rules look at.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::source::Source;

/// A file of the workspace.
pub(crate) struct File {
    /// Path from the root, with `/`.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// Empty for anything that is not UTF-8.
    pub(crate) text: String,
    /// `Some` for Rust.
    pub(crate) source: Option<Source>,
    /// Compiled for tests or benchmarks only.
    pub(crate) is_test: bool,
}

impl File {
    fn new(path: String, bytes: Vec<u8>) -> File {
        let length = bytes.len() as u64;
        let text = String::from_utf8(bytes).unwrap_or_default();
        let source = path.ends_with(".rs").then(|| Source::new(&text));
        File { path, bytes: length, text, source, is_test: false }
    }

    /// The file's name without its last extension.
    pub(crate) fn stem(&self) -> &str {
        stem(&self.path)
    }

    /// The folder, without a `/` at its end.
    pub(crate) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The crate of ours that the file belongs to, with the path inside it: `("media", "src/lib.rs")`.
    pub(crate) fn room(&self) -> Option<(&str, &str)> {
        self.path.strip_prefix("crates/")?.split_once('/')
    }
}

fn stem(path: &str) -> &str {
    Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

pub(crate) struct Workspace {
    pub(crate) files: Vec<File>,
}

impl Workspace {
    /// Everything git tracks or would track; without git, everything outside build folders.
    pub(crate) fn read(root: &Path) -> Workspace {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let paths: BTreeSet<String> = match listed {
            Some(list) => list.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect(),
            None => walk(root, "").into_iter().collect(),
        };
        // A listed file may have been deleted in the work tree.
        let read = |path: String| std::fs::read(root.join(&path)).ok().map(|bytes| File::new(path, bytes));
        Workspace { files: paths.into_iter().filter_map(read).collect() }.with_tests_marked()
    }

    /// A made-up workspace of (path, text).
    pub(crate) fn of(files: &[(&str, &str)]) -> Workspace {
        let file = |&(path, text): &(&str, &str)| File::new(path.to_owned(), text.as_bytes().to_vec());
        Workspace { files: files.iter().map(file).collect() }.with_tests_marked()
    }

    fn with_tests_marked(mut self) -> Workspace {
        let tests = test_files(&self);
        for file in &mut self.files {
            file.is_test = tests.contains(&file.path);
        }
        self
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Rust files, tests too.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&File, &Source)> {
        self.files.iter().filter_map(|file| Some((file, file.source.as_ref()?)))
    }

    /// Rust files that are not tests as a whole.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = (&File, &Source)> {
        self.rust().filter(|(file, _)| !file.is_test)
    }
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

/// Rust files in `tests`, `benches` or a fuzz crate, named `tests.rs`, or declared as `#[cfg(test)] mod x;`.
fn test_files(workspace: &Workspace) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for (file, source) in workspace.rust() {
        let in_folder = file.path.split('/').any(|part| matches!(part, "tests" | "benches" | "fuzz" | "fuzz_targets"));
        if in_folder || file.stem() == "tests" || file.text.starts_with("#![cfg(test)]") {
            tests.insert(file.path.clone());
        }
        let inside = children_folder(&file.path);
        for (at, mark) in source.code.match_indices("#[cfg(test)]") {
            if let Some(name) = declared_module(&source.code[at + mark.len()..]) {
                tests.insert(format!("{inside}/{name}.rs"));
                tests.insert(format!("{inside}/{name}/mod.rs"));
            }
        }
    }
    tests
}

/// Where the files of the modules lie that the file at `path` declares.
pub(crate) fn children_folder(path: &str) -> String {
    let (folder, _) = path.rsplit_once('/').unwrap_or_default();
    match stem(path) {
        "mod" | "lib" | "main" => folder.to_owned(),
        stem => format!("{folder}/{stem}"),
    }
}

/// `x` of `mod x;` or `pub(...) mod x;` at the start of `code`.
fn declared_module(code: &str) -> Option<&str> {
    let (before, after) = code.split_once("mod ")?;
    let (name, _) = after.split_once(';')?;
    (!before.contains(['{', ';']) && !name.contains([' ', '{'])).then_some(name)
}

#[test]
fn modules_declared_for_tests_are_test_files() {
    let workspace = Workspace::of(&[
        ("crates/a/src/lib.rs", "#[cfg(test)]\nmod fake;\npub mod real;"),
        ("crates/a/src/fake.rs", ""),
        ("crates/a/src/real.rs", ""),
        ("crates/a/src/b.rs", "#[cfg(test)] pub(crate) mod check;"),
        ("crates/a/src/b/check.rs", ""),
        ("crates/a/tests/end.rs", ""),
    ]);
    let shipped: Vec<&str> = workspace.shipped().map(|(file, _)| file.path.as_str()).collect();
    assert_eq!(shipped, ["crates/a/src/lib.rs", "crates/a/src/real.rs", "crates/a/src/b.rs"]);
}
