//! `MEDIA... QUESTION`: which words of the command line are files.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use zoetrope_engine::{ContentPart, Limits, MediaInput, check_limit};

use crate::failure::{self, Failure};

/// Endings that are media even when there is no such file, so that a misspelt file is not taken for a question.
const ENDINGS: &[&str] = &[
    "mp4", "m4v", "mov", "mkv", "webm", "avi", "ts", "m2ts", "mts", "mpg", "mpeg", "wmv", "flv", "3gp", "ogv", "gif",
    "png", "apng", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "heic", "avif",
];

/// Files, and the question after them.
pub(crate) fn split(words: &[String]) -> Result<(Vec<PathBuf>, String), Failure> {
    let Some((question, files)) = words.split_last() else {
        return Err(no_question());
    };
    if is_media(question) {
        return Err(no_question());
    }
    let piped = files.iter().filter(|word| *word == STANDARD_INPUT).count();
    if piped + usize::from(question == STANDARD_INPUT) > 1 {
        return Err(Failure::usage("standard input is named twice", "`-` may be one file, or the question"));
    }
    for word in files {
        if !is_media(word) && word != STANDARD_INPUT {
            let text = format!("{word:?} is not a file");
            return Err(Failure::usage(text, "put the question in quotes, after all files"));
        }
    }
    let question = if question == STANDARD_INPUT { from_standard_input()? } else { question.clone() };
    if question.trim().is_empty() {
        return Err(no_question());
    }
    Ok((files.iter().map(PathBuf::from).collect(), question))
}

/// The name of standard input, as a file or as the question.
const STANDARD_INPUT: &str = "-";

/// Longest question that is read from standard input, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// The question `-`: for one that is longer than a command line may be.
fn from_standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_BYTES + 1).read_to_string(&mut text);
    let read = read.map_err(|error| Failure::new(format!("question on standard input: {error}")))?;
    if read as u64 > MAX_BYTES {
        let text = format!("question on standard input: more than the limit of {MAX_BYTES} bytes");
        return Err(Failure::Error(text, Some("shorten the question".to_string())));
    }
    Ok(text.trim_end().to_string())
}

/// The files, then the question, as one message.
pub(crate) fn content(files: &[PathBuf], question: &str) -> Vec<ContentPart> {
    let media = |file: &PathBuf| ContentPart::Media(MediaInput::Path(file.clone()));
    let mut content: Vec<ContentPart> = files.iter().map(media).collect();
    if !question.is_empty() {
        content.push(ContentPart::Text(question.to_string()));
    }
    content
}

/// Finds what is plainly wrong before a model is loaded for it: files that are not there, a question that is too long.
pub(crate) fn check(files: &[PathBuf], question: &str, limits: &Limits) -> Result<(), Failure> {
    for file in files.iter().filter(|file| file.as_os_str() != STANDARD_INPUT) {
        let found = std::fs::metadata(file);
        let found = found.and_then(|found| if found.is_dir() { Err(ErrorKind::IsADirectory.into()) } else { Ok(()) });
        found.map_err(|error| failure::media(&file.display().to_string(), &error.into()))?;
    }
    Ok(check_limit("characters of a message", question.chars().count(), limits.characters)?)
}

fn is_media(word: &str) -> bool {
    let path = Path::new(word);
    // A question may end like a file name ("what is in a.mp4"), a file name without spaces is taken for one.
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    path.exists() || (!word.contains(char::is_whitespace) && ending.is_some_and(|e| ENDINGS.contains(&e.as_str())))
}

fn no_question() -> Failure {
    Failure::usage("the question is missing", "zoetrope ask clip.mp4 \"What happens?\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_words(words: &[&str]) -> Result<(Vec<PathBuf>, String), Failure> {
        split(&words.iter().map(|word| word.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn the_last_word_is_the_question() {
        let (files, question) = split_words(&["a.mp4", "B.PNG", "What is in a.mp4"]).expect("splits");
        assert_eq!((files.len(), question.as_str()), (2, "What is in a.mp4"));
        let (files, question) = split_words(&["Why?"]).expect("text alone");
        assert_eq!((files.len(), question.as_str()), (0, "Why?"));
    }

    #[test]
    fn a_missing_question_and_a_question_without_quotes_are_told_apart() {
        let text = |words: &[&str]| match split_words(words) {
            Err(Failure::Usage(text, _)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(text(&["a.mp4"]), "the question is missing");
        assert_eq!(text(&["a.mp4", " "]), "the question is missing");
        assert_eq!(text(&["a.mp4", "what", "happens?"]), "\"what\" is not a file");
    }
}
