//! Paragraphs that people wrote: comments of Rust files, Markdown, and all of TOML files and the justfile.

use crate::source::Source;
use crate::workspace::File;

/// Lines of prose joined by spaces.
pub(crate) struct Paragraph {
    pub(crate) text: String,
    /// Line of the file where it begins, from 1.
    first: usize,
    /// Where its later lines begin in `text`.
    breaks: Vec<usize>,
}

impl Paragraph {
    /// The file's line of a place in `text`.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.first + self.breaks.iter().filter(|&&start| start <= at).count()
    }
}

/// Paragraphs of a file; none of files that hold no prose.
pub(crate) fn paragraphs(file: &File) -> Vec<Paragraph> {
    match &file.source {
        Some(source) => split(comment_lines(source)),
        None if file.path.ends_with(".md") => split(markdown_lines(&file.text)),
        None if file.path.ends_with(".toml") || file.path.ends_with("justfile") => {
            split(numbered(&file.text).map(|(number, line)| (number, line.trim_start_matches(['#', ' ']))))
        }
        None => Vec::new(),
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()))
}

/// Lines of comments without their marks.
fn comment_lines(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    source.comments.iter().flat_map(|range| {
        let first = source.line(range.start);
        let lines = source.all[range.clone()].lines().enumerate();
        lines.map(move |(number, line)| (first + number, line.trim().trim_matches(['/', '!', '*']).trim()))
    })
}

/// Lines outside fenced blocks; their places are empty lines.
fn markdown_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    numbered(text).map(move |(number, line)| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        (number, if fenced || fence { "" } else { line })
    })
}

/// Joins neighboring lines; an empty line, a gap in the numbers and a heading each end a paragraph.
fn split<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<Paragraph> {
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    let mut next = 0;
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let heading = line.starts_with('#');
        match paragraphs.last_mut().filter(|_| number == next && !heading) {
            Some(paragraph) => {
                paragraph.text.push(' ');
                paragraph.breaks.push(paragraph.text.len());
                paragraph.text.push_str(line);
            }
            None => paragraphs.push(Paragraph { text: line.to_owned(), first: number, breaks: Vec::new() }),
        }
        next = if heading { 0 } else { number + 1 };
    }
    paragraphs
}

#[cfg(test)]
fn texts(path: &str, text: &str) -> Vec<(usize, String)> {
    let workspace = crate::workspace::Workspace::of(&[(path, text)]);
    paragraphs(&workspace.files[0]).into_iter().map(|paragraph| (paragraph.first, paragraph.text)).collect()
}

#[test]
fn paragraphs_of_comments() {
    let code = "/// One\n/// line.\n///\n/// # Errors\n/// Never.\nfn f() {} // after\nlet a = \"// no\";\n\
                /* block\n * of two */";
    let wanted = [(1, "One line."), (4, "# Errors"), (5, "Never. after"), (8, "block of two")];
    assert_eq!(texts("a.rs", code), wanted.map(|(line, text)| (line, text.to_owned())));
}

#[test]
fn paragraphs_of_markdown_and_settings() {
    let page = "# Title\nText\nof two lines.\n\n```\ncode\n```\nEnd.";
    let wanted = [(1, "# Title"), (2, "Text of two lines."), (8, "End.")];
    assert_eq!(texts("a.md", page), wanted.map(|(line, text)| (line, text.to_owned())));
    assert_eq!(texts("Cargo.toml", "# Why\na = 1\n"), [(1, "Why a = 1".to_owned())]);
    assert!(texts("a.json", "{}").is_empty());
}

#[test]
fn places_in_a_paragraph_have_lines() {
    let workspace = crate::workspace::Workspace::of(&[("a.md", "\none\ntwo three")]);
    let paragraph = &paragraphs(&workspace.files[0])[0];
    assert_eq!(["one", "two", "three"].map(|word| paragraph.line(paragraph.text.find(word).unwrap())), [2, 3, 3]);
}
