//! Sizes of files, lines, functions and folders.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Finding;
use crate::source::{Source, after_matching, body, identifiers, places};
use crate::workspace::{File, Workspace};

/// Most lines of a file without its tests.
const FILE_LINES: usize = 400;
/// Most lines of a function.
const FUNCTION_LINES: usize = 70;
/// Most parameters of a function, `self` among them. Aim at 7.
const PARAMETERS: usize = 8;
/// Most characters of a line.
const WIDTH: usize = 120;
/// Most modules in a folder; `x.rs` and `x/` are one.
const SIBLINGS: usize = 14;
/// A folder of any number of modules: one for each command.
const COMMANDS: &str = "crates/app/src/commands";
/// Largest file, but for model weights.
const FILE_BYTES: u64 = 5 << 20;
const LARGE_FILES: &str = "assets/models/";

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, source) in workspace.shipped() {
        lines(file, source, &mut findings);
        for at in places(&source.shipped, "fn") {
            function(file, source, at, &mut findings);
        }
    }
    for file in workspace.files.iter().filter(|file| file.bytes > FILE_BYTES) {
        if !file.path.starts_with(LARGE_FILES) {
            let text = format!("{} bytes, at most {FILE_BYTES} outside {LARGE_FILES}", file.bytes);
            findings.push(Finding::new("file-bytes", &file.path, file.bytes as usize, text));
        }
    }
    siblings(workspace, &mut findings);
    findings
}

fn lines(file: &File, source: &Source, findings: &mut Vec<Finding>) {
    let lines = source.lines_without_tests();
    if lines.len() > FILE_LINES {
        let text = format!("{} lines without tests, at most {FILE_LINES}", lines.len());
        findings.push(Finding::new("file-lines", &file.path, lines.len(), text));
    }
    // Long literals are at home in tests.
    let wide = |(number, line): (usize, &str)| (line.len() > WIDTH).then(|| (line.chars().count(), number));
    for (width, number) in lines.into_iter().filter_map(wide).filter(|(width, _)| *width > WIDTH) {
        let text = format!("line {number} has {width} characters, at most {WIDTH}");
        findings.push(Finding::new("width", &file.path, width, text));
    }
}

/// Length and parameters of the function whose `fn` is at `at`.
fn function(file: &File, source: &Source, at: usize, findings: &mut Vec<Finding>) {
    let code = &source.shipped;
    let named = code[at + 2..].strip_prefix(' ').and_then(|rest| identifiers(rest).next());
    let Some((_, name)) = named.filter(|(before, _)| *before == 0) else { return };
    let line = source.line(at);
    if let Ok(open) = body(code, at) {
        let count = source.line(after_matching(code, open) - 1) + 1 - line;
        if count > FUNCTION_LINES {
            let text = format!("`{name}` at line {line} has {count} lines, at most {FUNCTION_LINES}");
            findings.push(Finding::new("function-lines", &file.path, count, text));
        }
    }
    let count = parameters(&code[at..]);
    if count > PARAMETERS {
        let text = format!("`{name}` at line {line} has {count} parameters, at most {PARAMETERS}");
        findings.push(Finding::new("parameters", &file.path, count, text));
    }
}

/// How many parameters the function at the start of `code` has.
fn parameters(code: &str) -> usize {
    let (mut depth, mut count, mut some) = (0_usize, 0, false);
    let mut before = ' ';
    for c in code.chars() {
        let arrow = before == '-' && c == '>';
        match c {
            // The first parenthesis outside the generics opens the list; its depth is 1.
            '(' | '[' | '<' | '{' => depth += 1,
            ')' if depth == 1 => return count + usize::from(some),
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '>' if !arrow => depth = depth.saturating_sub(1),
            ',' if depth == 1 => (count, some) = (count + 1, false),
            _ => some |= depth > 0 && !c.is_whitespace(),
        }
        if c == '>' && !arrow && depth == 0 {
            (count, some) = (0, false);
        }
        before = c;
    }
    0
}

fn siblings(workspace: &Workspace, findings: &mut Vec<Finding>) {
    let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (file, _) in workspace.rust().filter(|(file, _)| file.room().is_some_and(|(_, path)| path.starts_with("src/")))
    {
        let mut path = file.path.trim_end_matches(".rs");
        while let Some((folder, name)) = path.rsplit_once('/').filter(|(folder, _)| folder.contains("/src")) {
            folders.entry(folder).or_default().insert(name);
            path = folder;
        }
    }
    for (folder, names) in folders {
        if names.len() > SIBLINGS && folder != COMMANDS {
            let text = format!("{} modules in one folder, at most {SIBLINGS}", names.len());
            findings.push(Finding::new("siblings", folder, names.len(), text));
        }
    }
}

#[cfg(test)]
fn rules(path: &str, text: &str) -> Vec<&'static str> {
    check(&Workspace::of(&[(path, text)])).iter().map(|finding| finding.rule).collect()
}

#[test]
fn long_files_functions_and_lines_are_found() {
    let rules = |text: String| rules("crates/media/src/a.rs", &text);
    let function = |lines: usize| format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2));
    assert_eq!(rules(function(FUNCTION_LINES + 1)), ["function-lines"]);
    assert!(rules(function(FUNCTION_LINES)).is_empty());
    assert_eq!(rules("// line\n".repeat(FILE_LINES + 1)), ["file-lines"]);
    assert_eq!(rules(format!("// {}\n", "x".repeat(WIDTH))), ["width"]);
    assert_eq!(rules(format!("fn f({}) {{}}", "x: u8, ".repeat(PARAMETERS + 1))), ["parameters"]);
    let tests = "    fn g() { h().unwrap() }\n".repeat(FILE_LINES);
    assert!(rules(format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{tests}}}\n")).is_empty());
}

#[test]
fn parameters_are_counted_with_self_and_without_those_of_types() {
    for (code, count) in [
        ("fn f() {}", 0),
        ("fn f(&self, a: u8) {}", 2),
        ("fn f(\n    a: [u8; 2],\n    b: (u8, u8),\n) -> (u8, u8) {}", 2),
        ("fn f<A: Fn(u8, u8) -> u8, B>(a: A, b: impl Fn(u8, u8) -> u8, c: BTreeMap<u8, B>) {}", 3),
    ] {
        assert_eq!(parameters(code), count, "{code}");
    }
}

#[test]
fn a_crowded_folder_is_found() {
    let files = |folder: &str, count: usize| -> Vec<String> {
        (0..count).map(|number| format!("crates/media/src/{folder}m{number}.rs")).collect()
    };
    let findings = |paths: Vec<String>| {
        let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "")).collect();
        check(&Workspace::of(&files))
    };
    assert!(findings(files("", SIBLINGS)).is_empty());
    assert_eq!(findings(files("", SIBLINGS + 1))[0].path, "crates/media/src");
    let both = [files("", SIBLINGS), files("m0/", 2)].concat();
    assert!(findings(both).is_empty(), "a file and its folder are one");
    let more = [files("", SIBLINGS), files("other/", 2)].concat();
    assert_eq!(findings(more).len(), 1, "a folder counts");
}

#[test]
fn large_files_are_weights() {
    let file = |path: &str| {
        let mut workspace = Workspace::of(&[(path, "")]);
        workspace.files[0].bytes = FILE_BYTES + 1;
        check(&workspace).len()
    };
    assert_eq!(file("assets/clips/a.mp4"), 1);
    assert_eq!(file("assets/models/a/model.safetensors"), 0);
}
