//! American spelling in comments, documents and identifiers. Literals keep theirs: users and trained models know them.

use crate::finding::Finding;
use crate::source::places;
use crate::workspace::{File, Workspace};

/// Parts of words, and how we write them.
const PARTS: [(&str, &str); 15] = [
    ("artefact", "artifact"),
    ("behaviour", "behavior"),
    ("centre", "center"),
    ("centring", "centering"),
    ("colour", "color"),
    ("favour", "favor"),
    ("fibre", "fiber"),
    ("flavour", "flavor"),
    ("grey", "gray"),
    ("honour", "honor"),
    ("labell", "label"),
    ("licence", "license"),
    ("modell", "model"),
    ("neighbour", "neighbor"),
    ("signall", "signal"),
];
/// Verbs in `-ise`; all others, such as "revise", stay as they are.
const VERBS: [&str; 30] = [
    "capital",
    "categor",
    "character",
    "custom",
    "discret",
    "emphas",
    "final",
    "general",
    "initial",
    "linear",
    "material",
    "maxim",
    "memor",
    "minim",
    "normal",
    "optim",
    "organ",
    "parallel",
    "penal",
    "prior",
    "quant",
    "random",
    "raster",
    "recogn",
    "serial",
    "special",
    "summar",
    "synchron",
    "token",
    "vector",
];
/// Whole words.
const WORDS: [(&str, &str); 5] = [
    ("analyse", "analyze"),
    ("analysed", "analyzed"),
    ("analysing", "analyzing"),
    ("learnt", "learned"),
    ("whilst", "while"),
];
/// Names of other crates, and what stands for them here: we cannot rename their fields.
const FOREIGN: (&str, &str) = (".colour_primaries", ".color_primaries");
/// The log is history.
const HISTORY: &str = "docs/LOG.md";

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let files = workspace.files.iter().filter(|file| file.path != HISTORY);
    files.filter_map(|file| Finding::places("spelling", &file.path, &british(file))).collect()
}

fn british(file: &File) -> Vec<String> {
    let text = match &file.source {
        Some(source) => &source.words,
        None if [".md", ".toml", "justfile"].iter().any(|end| file.path.ends_with(end)) => &file.text,
        None => return Vec::new(),
    };
    let text = text.to_ascii_lowercase().replace(FOREIGN.0, FOREIGN.1);
    let mut found: Vec<(usize, String)> = Vec::new();
    for (british, american) in PARTS {
        found.extend(text.match_indices(british).map(|(at, _)| (at, format!("{british} -> {american}"))));
    }
    for end in ["ise", "isi", "isa"] {
        for (at, _) in text.match_indices(end) {
            if let Some(verb) = VERBS.iter().find(|verb| text[..at].ends_with(**verb)) {
                found.push((at - verb.len(), format!("{verb}is- -> {verb}iz-")));
            }
        }
    }
    for (british, american) in WORDS {
        found.extend(places(&text, british).map(|at| (at, format!("{british} -> {american}"))));
    }
    found.sort();
    found.iter().map(|(at, what)| format!("line {}: {what}", text[..*at].matches('\n').count() + 1)).collect()
}

#[test]
fn british_spelling_is_found_in_words_and_not_in_literals() {
    let amount =
        |path: &str, text: &str| check(&Workspace::of(&[(path, text)])).iter().map(|f| f.amount).sum::<usize>();
    for (text, wanted) in [
        ("// The colour of its neighbours.\nfn f() {}", 2),
        ("fn dequantise(colour_range: u8) {}", 2),
        ("enum Colour { Grey }", 2),
        ("fn f() { vui.colour_primaries }", 0),
        ("fn colour_primaries() {}", 1),
        ("const TEXT: &str = \"grey, normalised\";", 0),
        ("// It was cancelled: revise, otherwise raise. Optimistic noise, a specialist, analyses.", 0),
        ("// Optimising, normalisation, recognised, learnt.", 4),
    ] {
        assert_eq!(amount("crates/a/src/a.rs", text), wanted, "{text}");
    }
    assert_eq!(amount("README.md", "The grey centre."), 2);
    assert_eq!(amount("Cargo.toml", "# optimisation"), 1);
    assert_eq!(amount(HISTORY, "The grey centre."), 0);
    assert_eq!(amount("reference/a.py", "# grey"), 0);
}
