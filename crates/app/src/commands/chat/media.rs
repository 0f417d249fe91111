//! Media that a line of the chat names.

use std::path::PathBuf;

use crate::paths::{self, Word};

/// Most words that a path with spaces, given without quotes, may have.
const MOST_WORDS: usize = 32;

/// All files that the argument of `/add` names: one whose name has spaces, or several.
pub(super) fn named(argument: &[u8]) -> Vec<PathBuf> {
    match paths::literal(argument) {
        Some(path) => vec![path],
        None => paths::words(argument).into_iter().map(|word| word.path).collect(),
    }
}

/// The existing files that a line begins with, and where the question after them begins.
pub(super) fn leading(line: &[u8]) -> (Vec<PathBuf>, usize) {
    let words = paths::words(line);
    let Some(first) = words.first().filter(|word| word.looks_like_path) else { return (Vec::new(), 0) };
    if !first.path.exists() {
        // A path with spaces and without quotes, as some terminals drop them.
        let longest_first = words.iter().take(MOST_WORDS).rev();
        let found = longest_first.filter_map(|word| Some((vec![paths::literal(&line[..word.end])?], word.end))).next();
        return found.unwrap_or((Vec::new(), 0));
    }
    let is_file = |word: &&Word| word.looks_like_path && word.path.exists();
    let files: Vec<&Word> = words.iter().take_while(is_file).collect();
    let end = files.last().map_or(0, |word| word.end);
    (files.into_iter().map(|word| word.path.clone()).collect(), end)
}

/// Existing files that a question speaks of.
pub(super) fn mentioned(question: &[u8]) -> Vec<PathBuf> {
    let trimmed = |word: Word| {
        let text =
            word.path.to_str().map(|text| text.trim_matches(['?', '.', ',', '!', ':', ';', '(', ')', '"', '\'']));
        let bare = text.map(PathBuf::from);
        let path = [Some(word.path), bare].into_iter().flatten().find(|path| path.is_file())?;
        (word.looks_like_path || paths::has_media_ending(&path)).then_some(path)
    };
    paths::words(question).into_iter().filter_map(trimmed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_before_a_question_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["a.png", "b c.png", "red"] {
            std::fs::write(path(name), "").expect("written");
        }
        let at = folder.path().display().to_string();
        let lead = |line: &str| {
            let (files, end) = leading(line.as_bytes());
            (files, line[end..].trim().to_string())
        };
        let both = vec![path("a.png"), path("b c.png")];
        assert_eq!(lead(&format!("{at}/a.png '{at}/b c.png' What now?")), (both, "What now?".to_string()));
        assert_eq!(lead(&format!("{at}/b c.png Why?")), (vec![path("b c.png")], "Why?".to_string()));
        assert_eq!(lead(&format!("file://{at}/b%20c.png")), (vec![path("b c.png")], String::new()));
        assert_eq!(lead("What is it?"), (vec![], "What is it?".to_string()));
        assert_eq!(named(format!("{at}/b c.png").as_bytes()), [path("b c.png")]);
        assert_eq!(named(b"no.png x.png"), [PathBuf::from("no.png"), PathBuf::from("x.png")]);
        assert_eq!(mentioned(format!("What is in {at}/a.png?").as_bytes()), [path("a.png")]);
        assert_eq!(mentioned(b"What is in a.png?"), Vec::<PathBuf>::new());
    }
}
