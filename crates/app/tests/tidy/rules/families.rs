//! A model family is one folder and one line of `families/mod.rs`; no other code that ships names it.

use std::collections::BTreeSet;

use crate::finding::Finding;
use crate::source::Source;
use crate::workspace::{File, Workspace};

const FAMILIES: &str = "crates/models/src/families/";
/// What every family folder holds, so that whoever knows one knows all.
const FAMILY_FILES: [&str; 10] = [
    "config.rs",
    "vision.rs",
    "projector.rs",
    "language.rs",
    "prompt.rs",
    "processor.rs",
    "names.rs",
    "mod.rs",
    "tests.rs",
    "README.md",
];
/// Families and their parts, in lower case without `_` and `-`; the names of the folders come to these.
const NAMES: [&str; 7] = ["videollama", "llava", "onevision", "llamavid", "cogvlm", "videochat2", "siglip"];
/// Who may name them, besides tests and documents: the families, and programs that run other projects' models.
const MAY_NAME: [&str; 3] = [FAMILIES, "bench/peers/", "reference/"];

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    let inside: Vec<&str> = workspace.files.iter().filter_map(|file| file.path.strip_prefix(FAMILIES)).collect();
    let families: BTreeSet<&str> = inside.iter().filter_map(|path| path.split_once('/')).map(|pair| pair.0).collect();
    folders(workspace, &inside, &families, &mut findings);
    let mut names: BTreeSet<String> = families.into_iter().map(plain).collect();
    names.extend(NAMES.map(str::to_string));
    for (file, source) in workspace.shipped() {
        if !MAY_NAME.iter().any(|own| file.path.starts_with(own)) {
            findings.extend(Finding::places("family-name", &file.path, &named(source, &names)));
        }
    }
    findings
}

fn folders(workspace: &Workspace, inside: &[&str], families: &BTreeSet<&str>, findings: &mut Vec<Finding>) {
    let door = workspace.file(&format!("{FAMILIES}mod.rs"));
    for family in families {
        for wanted in FAMILY_FILES {
            let folder = wanted.strip_suffix(".rs").map(|stem| format!("{family}/{stem}/mod.rs"));
            let file = format!("{family}/{wanted}");
            if !inside.iter().any(|path| *path == file || Some(*path) == folder.as_deref()) {
                findings.push(Finding::new("family-files", &format!("{FAMILIES}{family}"), 1, format!("no {wanted}")));
            }
        }
        findings.extend(door.and_then(|door| lines(door, family)));
    }
}

fn lines(door: &File, family: &str) -> Option<Finding> {
    let lines = door.source.as_ref()?.lines_without_tests();
    let named = lines.iter().filter(|(_, line)| line.contains(family)).count();
    let text = format!("{named} lines name {family}, at most one: that of the list");
    (named > 1).then(|| Finding::new("family-lines", &door.path, named, text))
}

/// Code, literals and comments, but not tests. A checkpoint's name on the hub (`org/name`) may stand in a hint.
fn named(source: &Source, names: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    let all = plain(&source.all);
    if !names.iter().any(|family| all.contains(family)) {
        return found;
    }
    for (number, line) in source.lines_without_tests() {
        let line = plain(line);
        let named = |family: &&String| line.match_indices(*family).any(|(at, _)| !line[..at].ends_with('/'));
        if let Some(family) = names.iter().find(named) {
            found.push(format!("line {number}: {family}"));
        }
    }
    found
}

fn plain(text: &str) -> String {
    let bytes = text.bytes().filter(|byte| !matches!(byte, b'_' | b'-')).map(|byte| byte.to_ascii_lowercase());
    String::from_utf8(bytes.collect()).unwrap_or_default()
}

#[cfg(test)]
fn rules(path: &str, text: &str) -> Vec<&'static str> {
    check(&Workspace::of(&[(path, text)])).iter().map(|finding| finding.rule).collect()
}

#[test]
fn names_of_families_are_found_outside_their_folder() {
    for text in [
        "const NAME: &str = \"Video_LLaMA3\";",
        "use zoetrope_models::families::llava_onevision::Config;",
        "/// The template of VideoLLaMA3.\nfn f() {}",
    ] {
        assert_eq!(rules("crates/text/src/a.rs", text), ["family-name"], "{text}");
        assert!(rules("crates/text/tests/a.rs", text).is_empty());
    }
    let (new, naming) = (format!("{FAMILIES}new_family/mod.rs"), "const NAME: &str = \"new-family\";");
    let files = [(new.as_str(), ""), ("crates/text/src/a.rs", naming)];
    let findings = check(&Workspace::of(&files));
    assert!(findings.iter().any(|finding| finding.rule == "family-name"), "the folders are names, too: {findings:?}");
    let hint = "const HINT: &str = \"such as DAMO-NLP-SG/VideoLLaMA3-2B\";";
    assert!(rules("crates/app/src/a.rs", hint).is_empty());
}

#[test]
fn a_family_is_a_folder_of_known_files_and_one_line() {
    let paths = FAMILY_FILES.map(|file| format!("{FAMILIES}cogvlm2/{file}"));
    let mut files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "")).collect();
    let door = format!("{FAMILIES}mod.rs");
    files.push((&door, "families! {\n    mod cogvlm2;\n}\n"));
    assert!(check(&Workspace::of(&files)).is_empty());
    files.swap_remove(3);
    files[3] = (&door, "families! {\n    mod cogvlm2;\n}\nuse cogvlm2::CogVlm2;\n");
    let findings = check(&Workspace::of(&files));
    let rules: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["family-files", "family-lines"], "{findings:?}");
}
