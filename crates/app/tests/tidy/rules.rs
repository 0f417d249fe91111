//! Rules for one file.

use crate::scan::{Source, places};
use crate::{File, Finding};

/// Most lines of a file without its tests; an exception may go up to [`REFUSED_LINES`], none beyond.
const FILE_LINES: usize = 400;
const REFUSED_LINES: usize = 800;
/// Most lines of a function outside tests.
const FUNCTION_LINES: usize = 70;
/// Most characters of a line.
const WIDTH: usize = 120;
/// Model families: named only in their own folder. Matched without case and underscores.
const FAMILIES: [&str; 7] = ["videollama", "llava", "onevision", "llamavid", "cogvlm", "videochat2", "siglip"];

pub(crate) fn check(file: &File, is_test: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    places_of_this_machine(file, &mut findings);
    if !file.is_rust() {
        return findings;
    }
    let mut source = Source::new(&file.text);
    reasons(file, &source, &mut findings);
    unsafety(file, &source, &mut findings);
    if is_test {
        return findings;
    }
    let tests = source.without_tests();
    let tests: Vec<(usize, usize)> = tests.iter().map(|&(a, b)| (source.line(a), source.line(b.max(1) - 1))).collect();
    width(file, &tests, &mut findings);
    lines(file, &tests, &mut findings);
    functions(file, &source, &mut findings);
    unwraps(file, &source, &mut findings);
    families(file, &source, &mut findings);
    findings
}

/// Paths of a build machine and hosts of package registries say where something was made, not how.
fn places_of_this_machine(file: &File, findings: &mut Vec<Finding>) {
    // Written in two halves, so that this file does not find itself.
    let places = [
        ("/wo", "rk/"),
        ("/tmp", "/zt"),
        ("/ro", "ot/"),
        ("cra", "tes.io"),
        ("py", "pi.org"),
        ("pythonho", "sted.org"),
        ("registry.npm", "js.org"),
        ("deb.deb", "ian.org"),
    ];
    if file.path.ends_with("Cargo.lock") {
        return;
    }
    for (number, line) in file.text.lines().enumerate() {
        for (a, b) in places {
            let place = format!("{a}{b}");
            if line.contains(&place) {
                findings.push(Finding::new("machine-place", &file.path, 1, format!("line {}: {place}", number + 1)));
            }
        }
    }
}

/// `tests` are ranges of lines that are not looked at: long literals are at home there.
fn width(file: &File, tests: &[(usize, usize)], findings: &mut Vec<Finding>) {
    let in_test = |line: usize| tests.iter().any(|range| range.0 <= line && line <= range.1);
    let wide = |(number, line): (usize, &str)| (line.chars().count(), number + 1);
    let lines = file.text.lines().enumerate().map(wide);
    let lines: Vec<(usize, usize)> = lines.filter(|line| line.0 > WIDTH && !in_test(line.1)).collect();
    if let Some((widest, _)) = lines.iter().max() {
        let numbers: Vec<String> = lines.iter().map(|line| line.1.to_string()).collect();
        let text = format!("up to {widest} characters, at most {WIDTH}: line {}", numbers.join(", "));
        findings.push(Finding::new("width", &file.path, *widest, text));
    }
}

/// `#[allow(...)]` and `#[expect(...)]` say why.
fn reasons(file: &File, source: &Source, findings: &mut Vec<Finding>) {
    let marks = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];
    for at in marks.iter().flat_map(|mark| source.places(mark)) {
        let open = at + usize::from(source.code[at + 1] == '!') + 1;
        let inside: String = source.code[open..source.after_matching(open)].iter().collect();
        if !inside.contains("reason") {
            let text = format!("line {}: a lint is switched off without `reason = \"...\"`", source.line(at));
            findings.push(Finding::new("allow-reason", &file.path, 1, text));
        }
    }
}

/// Only the kernels' sources say `unsafe`, and each place says why it is right.
fn unsafety(file: &File, source: &Source, findings: &mut Vec<Finding>) {
    let lines: Vec<String> = source.all.split(|&c| c == '\n').map(|line| line.iter().collect()).collect();
    for at in source.places("unsafe") {
        let before = at.checked_sub(1).map_or(' ', |at| source.code[at]);
        let after = source.code.get(at + 6).copied().unwrap_or(' ');
        if before.is_alphanumeric() || before == '_' || after.is_alphanumeric() || after == '_' {
            continue;
        }
        let line = source.line(at);
        if !file.path.starts_with("crates/kernels/") {
            findings.push(Finding::new("unsafe", &file.path, 1, format!("line {line}: unsafe outside the kernels")));
            continue;
        }
        let near = &lines[line.saturating_sub(7)..line];
        if !near.iter().any(|line| line.contains("SAFETY:") || line.contains("# Safety")) {
            let text = format!("line {line}: unsafe without a SAFETY sentence in the six lines before");
            findings.push(Finding::new("safety-comment", &file.path, 1, text));
        }
    }
}

fn lines(file: &File, tests: &[(usize, usize)], findings: &mut Vec<Finding>) {
    let in_test = |line: &usize| tests.iter().any(|range| range.0 <= *line && *line <= range.1);
    let count = (1..=file.text.lines().count()).filter(|line| !in_test(line)).count();
    if count > REFUSED_LINES {
        let text = format!("{count} lines without tests, refused above {REFUSED_LINES}");
        findings.push(Finding::new("file-refused", &file.path, count, text));
    } else if count > FILE_LINES {
        let text = format!("{count} lines without tests, at most {FILE_LINES}");
        findings.push(Finding::new("file-lines", &file.path, count, text));
    }
}

fn functions(file: &File, source: &Source, findings: &mut Vec<Finding>) {
    for at in source.places("fn ") {
        let name: String = source.code[at + 3..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
        let in_word = at > 0 && (source.code[at - 1].is_alphanumeric() || source.code[at - 1] == '_');
        if in_word || name.is_empty() {
            continue;
        }
        let Some(open) = body(source, at) else { continue };
        let count = source.line(source.after_matching(open) - 1) + 1 - source.line(at);
        if count > FUNCTION_LINES {
            let text = format!("`{name}` at line {} has {count} lines, at most {FUNCTION_LINES}", source.line(at));
            findings.push(Finding::new("function-lines", &file.path, count, text));
        }
    }
}

/// Where the body of the function at `at` opens; `None` for a declaration without one.
fn body(source: &Source, at: usize) -> Option<usize> {
    let mut here = at;
    while here < source.code.len() {
        match source.code[here] {
            '(' | '[' => here = source.after_matching(here),
            '{' => return Some(here),
            ';' => return None,
            _ => here += 1,
        }
    }
    None
}

fn unwraps(file: &File, source: &Source, findings: &mut Vec<Finding>) {
    let at: Vec<usize> = [".unwrap()", ".expect("].iter().flat_map(|call| source.places(call)).collect();
    if !at.is_empty() {
        let lines: Vec<String> = at.iter().map(|&at| source.line(at).to_string()).collect();
        let text = format!("unwrap or expect outside tests, {} times: line {}", at.len(), lines.join(", "));
        findings.push(Finding::new("unwrap", &file.path, at.len(), text));
    }
}

/// A new family touches its folder and one line of `families/mod.rs`, nothing else. A checkpoint's name on the hub
/// (`org/name`) may stand in a hint to the user, and peers (`bench/peers`) name modules of other projects.
fn families(file: &File, source: &Source, findings: &mut Vec<Finding>) {
    if ["crates/models/src/families/", "bench/peers/"].iter().any(|own| file.path.starts_with(own)) {
        return;
    }
    let mut found: Vec<String> = Vec::new();
    for (number, line) in source.text.split(|&c| c == '\n').enumerate() {
        let plain: Vec<char> = line.iter().filter(|c| !matches!(c, '_' | '-')).flat_map(|c| c.to_lowercase()).collect();
        let hub = |at: &usize| at.checked_sub(1).is_some_and(|before| plain[before] == '/');
        let named = |family: &&&str| places(&plain, family).iter().any(|at| !hub(at));
        if let Some(family) = FAMILIES.iter().find(named) {
            found.push(format!("\"{family}\" at line {}", number + 1));
        }
    }
    if !found.is_empty() {
        let text = format!("family names outside families/: {}", found.join(", "));
        findings.push(Finding::new("family-name", &file.path, found.len(), text));
    }
}

#[test]
fn each_rule_finds_what_it_is_for() {
    let long = format!("fn long() {{\n{}}}\n", "    step();\n".repeat(FUNCTION_LINES));
    let cases = [
        ("unwrap", "fn f() { g().unwrap(); }".to_owned()),
        ("unwrap", "fn f() { g().expect(\"here\"); }".to_owned()),
        ("allow-reason", "#[allow(dead_code)]\nfn f() {}".to_owned()),
        ("unsafe", "fn f() { unsafe { g() } }".to_owned()),
        ("family-name", "const NAME: &str = \"Video_LLaMA3\";".to_owned()),
        ("family-name", "use zoetrope_models::families::llava_onevision::Config;".to_owned()),
        ("function-lines", long),
        ("file-lines", "// line\n".repeat(FILE_LINES + 1)),
        ("file-refused", "// line\n".repeat(REFUSED_LINES + 1)),
        ("width", format!("// {}\n", "x".repeat(WIDTH))),
        ("machine-place", ["// see /wo", "rk/main"].concat()),
    ];
    for (rule, text) in cases {
        let file = File { path: "crates/media/src/a.rs".into(), bytes: 0, text };
        let rules: Vec<&str> = check(&file, false).iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, [rule], "{}", file.text);
    }
    let hint = "const HINT: &str = \"such as DAMO-NLP-SG/VideoLLaMA3-2B\";".to_owned();
    assert!(check(&File { path: "crates/app/src/a.rs".into(), bytes: 0, text: hint }, false).is_empty());
    let kernel = |text: &str| File { path: "crates/kernels/src/a.rs".into(), bytes: 0, text: text.into() };
    assert_eq!(check(&kernel("fn f() { unsafe { g() } }"), false)[0].rule, "safety-comment");
    assert!(check(&kernel("fn f() {\n    // SAFETY: g is.\n    unsafe { g() }\n}"), false).is_empty());
}

#[test]
fn tests_may_unwrap_and_be_long() {
    let text = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "    fn g() { h().unwrap() }\n".repeat(900));
    let file = File { path: "crates/media/src/a.rs".into(), bytes: 0, text };
    assert!(check(&file, false).is_empty());
}
