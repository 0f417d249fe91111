//! What is asked: which words of the command line are media, and which is the question.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};

use zoetrope_engine::{ContentPart, Limits, MediaInput, check_limit};

use crate::cli::{ContentArgs, Piece};
use crate::failure::{self, Failure};
use crate::paths;

/// The name of standard input, as a file or as the question.
const STANDARD_INPUT: &str = "-";

/// Longest question that is read from standard input, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// A part of the message.
#[derive(Debug, PartialEq, Eq)]
enum QuestionPart {
    Media(PathBuf),
    Text(String),
}

/// Media and texts in their order; the question is last.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Question(Vec<QuestionPart>);

impl Question {
    /// Takes what names a file as media, and the other word as the question, wherever it stands.
    pub(crate) fn of(content: &ContentArgs) -> Result<Self, Failure> {
        let mut words = content.0.iter().filter_map(|piece| match piece {
            Piece::Word(word) => Some(word),
            _ => None,
        });
        let (others, piped): (Vec<&OsString>, _) = {
            let others = words.clone().filter(|word| !is_media(word) && *word != STANDARD_INPUT).collect();
            (others, words.clone().filter(|word| *word == STANDARD_INPUT).count())
        };
        if piped > 1 {
            return Err(Failure::usage("standard input is named twice", "`-` may be one file, or the question"));
        }
        let has_question = content.0.iter().any(|piece| matches!(piece, Piece::Question(_)));
        if let ([stray, _, ..], _) | ([stray], true) = (others.as_slice(), has_question) {
            let text = format!("{stray:?} is not a file");
            return Err(Failure::usage(text, "put the question in quotes; --text says more between media"));
        }
        let has_text = has_question || content.0.iter().any(|piece| matches!(piece, Piece::Text(_)));
        // The question where there is no other, and it stands last.
        let asks = others.is_empty() && !has_text && words.next_back().is_some_and(|word| word == STANDARD_INPUT);
        let mut parts = Vec::new();
        let mut question = None;
        for piece in &content.0 {
            match piece {
                Piece::Word(word) if asks && word == STANDARD_INPUT => question = Some(from_standard_input()?),
                Piece::Word(word) if !is_media(word) && word != STANDARD_INPUT => question = Some(utf8(word)?),
                Piece::Word(word) | Piece::Media(word) => parts.push(QuestionPart::Media(paths::of_word(word))),
                Piece::Question(text) => question = Some(text.clone()),
                Piece::Text(text) => parts.push(QuestionPart::Text(text.clone())),
            }
        }
        parts.extend(question.map(QuestionPart::Text));
        let is_text = |part: &QuestionPart| matches!(part, QuestionPart::Text(text) if !text.trim().is_empty());
        if !parts.iter().any(is_text) {
            return Err(Failure::usage("the question is missing", "zoetrope ask clip.mp4 \"What happens?\""));
        }
        Ok(Question(parts))
    }

    /// All texts, with spaces between.
    pub(crate) fn text(&self) -> String {
        let texts = self.0.iter().filter_map(|part| match part {
            QuestionPart::Text(text) => Some(text.as_str()),
            QuestionPart::Media(_) => None,
        });
        texts.collect::<Vec<_>>().join(" ")
    }

    /// The message.
    pub(crate) fn content(&self) -> Vec<ContentPart> {
        let part = |part: &QuestionPart| match part {
            QuestionPart::Media(file) => ContentPart::Media(MediaInput::Path(file.clone())),
            QuestionPart::Text(text) => ContentPart::Text(text.clone()),
        };
        self.0.iter().map(part).collect()
    }

    /// Finds what is plainly wrong before a model is loaded for it: files that are not there, too many of them, a
    /// question that is too long.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), Failure> {
        let media = self.0.iter().filter_map(|part| match part {
            QuestionPart::Media(file) => Some(file.as_path()),
            QuestionPart::Text(_) => None,
        });
        let mut count = 0;
        for file in media {
            count += 1;
            check_file(file)?;
        }
        check_limit("pictures and videos of a conversation", count, limits.media)?;
        Ok(check_limit("characters of a message", self.text().chars().count(), limits.characters)?)
    }
}

/// Fails when there is no such file.
pub(crate) fn check_file(file: &Path) -> Result<(), Failure> {
    if paths::is_address(file.as_os_str()) {
        let text = format!("{}: addresses are not fetched", file.display());
        return Err(Failure::Error(text, Some("download the file first, and name its path".to_string())));
    }
    if file.as_os_str() == STANDARD_INPUT {
        return Ok(());
    }
    let found = std::fs::metadata(file);
    found.map(|_| ()).map_err(|error| failure::media(&file.display().to_string(), &error.into()))
}

/// The question `-`: for one that is longer than a command line may be.
fn from_standard_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes);
    let read = read.map_err(|error| Failure::new(format!("question on standard input: {error}")))?;
    if read as u64 > MAX_BYTES {
        let text = format!("question on standard input: more than the limit of {MAX_BYTES} bytes");
        return Err(Failure::Error(text, Some("shorten the question".to_string())));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(format!("question on standard input: not UTF-8 at byte {at}"))
    })?;
    Ok(text.trim_end().to_string())
}

fn utf8(word: &OsStr) -> Result<String, Failure> {
    let text = word.to_str().map(str::to_string);
    text.ok_or_else(|| Failure::usage(format!("{word:?} is neither a file nor text in UTF-8"), "check the spelling"))
}

/// The files, then the question, as one message.
pub(crate) fn content(files: &[PathBuf], question: &str) -> Vec<ContentPart> {
    let media = |file: &PathBuf| ContentPart::Media(MediaInput::Path(paths::of_word(file.as_os_str())));
    let mut content: Vec<ContentPart> = files.iter().map(media).collect();
    if !question.is_empty() {
        content.push(ContentPart::Text(question.to_string()));
    }
    content
}

/// Whether a word is a file. A name that ends as media files do is one even when there is no such file, so that a
/// misspelt name is not taken for a question; a question may end like that, too ("what is in a.mp4"), and has spaces.
fn is_media(word: &OsStr) -> bool {
    let path = paths::of_word(word);
    let has_spaces = || word.to_string_lossy().contains(char::is_whitespace);
    path.exists() || ((paths::is_address(word) || paths::has_media_ending(&path)) && !has_spaces())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(words: &[&str]) -> Result<Question, Failure> {
        Question::of(&ContentArgs(words.iter().map(|word| Piece::Word(word.into())).collect()))
    }

    fn media(name: &str) -> QuestionPart {
        QuestionPart::Media(name.into())
    }

    fn text(text: &str) -> QuestionPart {
        QuestionPart::Text(text.into())
    }

    #[test]
    fn the_word_that_is_no_file_is_the_question_wherever_it_stands() {
        let wanted = Question(vec![media("a.mp4"), media("B.PNG"), text("What is in a.mp4")]);
        assert_eq!(question(&["a.mp4", "B.PNG", "What is in a.mp4"]).expect("a question"), wanted);
        assert_eq!(question(&["What is in a.mp4", "a.mp4", "B.PNG"]).expect("a question"), wanted);
        assert_eq!(question(&["Why?"]).expect("text alone"), Question(vec![text("Why?")]));
        assert_eq!(question(&["Why?", "-"]).expect("a question"), Question(vec![media("-"), text("Why?")]));
        let url = question(&["https://example.org/watch?v=1", "Why?"]).expect("a question");
        assert!(url.check(&Limits::default()).is_err());
    }

    #[test]
    fn texts_between_media_keep_their_place() {
        let pieces = [
            Piece::Text("First:".into()),
            Piece::Word("a.mp4".into()),
            Piece::Text("then:".into()),
            Piece::Media("b".into()),
        ];
        let asked = Question::of(&ContentArgs(pieces.to_vec())).expect("a question");
        assert_eq!(asked, Question(vec![text("First:"), media("a.mp4"), text("then:"), media("b")]));
        assert_eq!(asked.text(), "First: then:");
    }

    #[test]
    fn a_missing_question_and_a_question_without_quotes_are_told_apart() {
        let text = |words: &[&str]| match question(words) {
            Err(Failure::Usage(text, _)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(text(&["a.mp4"]), "the question is missing");
        assert_eq!(text(&["a.mp4", " "]), "the question is missing");
        assert_eq!(text(&["a.mp4", "what", "happens?"]), "\"what\" is not a file");
    }
}
