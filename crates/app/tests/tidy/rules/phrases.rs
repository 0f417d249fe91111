//! The field's own words in comments and documents, and comments that stand alone.

use crate::finding::Finding;
use crate::prose::{Paragraph, paragraphs};
use crate::workspace::Workspace;

/// Phrases around a term, and the term.
const PHRASES: [(&str, &str); 10] = [
    ("asked for ahead", "prefetched"),
    ("second cache", "L2 cache"),
    ("whole number", "integer"),
    ("bytes a second", "per second"),
    ("frames a second", "per second"),
    ("GB a second", "per second"),
    ("operations a second", "per second"),
    ("patches a second", "per second"),
    ("steps a second", "per second"),
    ("tokens a second", "per second"),
];
/// A sentence about one of these says "intrinsics", not "by name".
const INSTRUCTIONS: [&str; 6] = ["avx", "neon", "simd", "instruction", "compiler", "machine"];
/// First words of a paragraph that leans on its neighbor: on a page of its own it says nothing.
const LEANING: [&str; 6] = ["The same ", "Those of", "One of them", "As above", "That of ", "See the test before"];
/// The log is history.
const HISTORY: &str = "docs/LOG.md";

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in workspace.files.iter().filter(|file| file.path != HISTORY) {
        let paragraphs = paragraphs(file);
        let found: Vec<String> = paragraphs.iter().flat_map(phrases).collect();
        findings.extend(Finding::places("phrase", &file.path, &found));
        if file.source.is_some() {
            let found: Vec<String> = paragraphs.iter().filter_map(leaning).collect();
            findings.extend(Finding::places("leaning-comment", &file.path, &found));
        }
    }
    findings
}

fn phrases(paragraph: &Paragraph) -> Vec<String> {
    let mut found = Vec::new();
    for (phrase, term) in PHRASES {
        let places = paragraph.text.match_indices(phrase);
        found.extend(places.map(|(at, _)| format!("line {}: {phrase} -> {term}", paragraph.line(at))));
    }
    for (at, _) in paragraph.text.match_indices("by name") {
        let start = paragraph.text[..at].rfind(". ").map_or(0, |end| end + 2);
        let end = paragraph.text[at..].find(". ").map_or(paragraph.text.len(), |end| at + end);
        let sentence = paragraph.text[start..end].to_lowercase();
        if INSTRUCTIONS.iter().any(|word| sentence.contains(word)) {
            found.push(format!("line {}: by name -> intrinsics", paragraph.line(at)));
        }
    }
    found
}

fn leaning(paragraph: &Paragraph) -> Option<String> {
    let words = LEANING.iter().find(|words| paragraph.text.starts_with(**words))?;
    Some(format!("line {}: begins with \"{}\"", paragraph.line(0), words.trim_end()))
}

#[test]
fn phrases_and_comments_that_lean_are_found() {
    for (text, rules) in [
        ("/// Sums of whole\n/// numbers.\nfn f() {}", &["phrase"][..]),
        ("// One pass by name, where AVX2 is there.", &["phrase"]),
        ("// Models by name from the hub. AVX2 follows.", &[]),
        ("fn f() {} // From the second cache, 3 GB a second.", &["phrase"]),
        ("/// The same in 4-bit.\nfn f() {}", &["leaning-comment"]),
        ("/// One row.\n///\n/// # Errors\n/// Those of `open`.\nfn f() {}", &["leaning-comment"]),
        ("/// In the same order.\nfn f() {}", &[]),
        ("const A: &str = \"whole number\";", &[]),
    ] {
        let findings = check(&Workspace::of(&[("crates/a/src/a.rs", text)]));
        assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), rules, "{text}");
    }
    assert_eq!(check(&Workspace::of(&[("README.md", "A whole\nnumber."), (HISTORY, "A whole number.")])).len(), 1);
}
