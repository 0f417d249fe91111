//! Every term of the glossary is one that the code says.

use crate::finding::Finding;
use crate::source::is_word;
use crate::workspace::Workspace;

const GLOSSARY: &str = "docs/GLOSSARY.md";

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let Some(glossary) = workspace.file(GLOSSARY) else { return Vec::new() };
    let terms: Vec<&str> = glossary.text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut missing: Vec<String> = terms.iter().map(|term| term.to_lowercase()).collect();
    for (_, source) in workspace.shipped().filter(|(file, _)| file.path.starts_with("crates/")) {
        if missing.is_empty() {
            break;
        }
        let words = source.words.to_ascii_lowercase();
        missing.retain(|term| !says(&words, term));
    }
    let missing: Vec<String> = missing.iter().map(|term| format!("\"{term}\" does not occur in the code")).collect();
    Finding::places("glossary", GLOSSARY, &missing).into_iter().collect()
}

/// Whether `words` has the term, or its plural, as words or within one identifier (`kv_block`, `KvBlock`).
fn says(words: &str, term: &str) -> bool {
    ["", " ", "_", "-"].iter().any(|joint| {
        let form = term.replace([' ', '-'], joint);
        words.match_indices(&form).any(|(at, _)| {
            let after = words[at + form.len()..].trim_start_matches('s');
            !words[..at].ends_with(|c: char| is_word(c) && c != '_')
                && !after.starts_with(|c: char| c.is_alphanumeric())
        })
    })
}

#[test]
fn terms_are_found_as_words_and_in_identifiers() {
    for (code, found) in [
        ("/// A KV block.", true),
        ("struct KvBlock;", true),
        ("let kv_blocks = 1;", true),
        ("let kv = block;", false),
        ("const TEXT: &str = \"kv block\";", false),
        ("struct KvBlockade;", false),
    ] {
        let files = [(GLOSSARY, "# Glossary\n\n## KV block\n\nText.\n"), ("crates/a/src/lib.rs", code)];
        assert_eq!(check(&Workspace::of(&files)).is_empty(), found, "{code}");
    }
}
