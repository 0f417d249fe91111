//! What is typed or piped into a chat, question by question.
//!
//! A question may have several lines: between `"""` and `"""`, or with a backslash at the end of all but the last.
//! On a terminal, a pasted paragraph is one question.

use std::io::{self, BufRead, Read};

use rustyline::completion::Completer;
use rustyline::config::Config;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Editor, Helper};

use super::history::{self, QuestionHistory};
use crate::failure::Failure;
use crate::terminal;

const QUOTES: &[u8] = b"\"\"\"";

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A question or a command, in whatever bytes it came.
    Text(Vec<u8>),
    /// One over the limit; it was passed over.
    TooLong,
    /// There is no more.
    End,
}

/// Where lines come from.
pub(super) struct Lines {
    editor: Option<Editor<Questions, MemHistory>>,
    prompt: &'static str,
    /// Most bytes of a question.
    limit: usize,
    history: QuestionHistory,
}

impl Lines {
    /// With an editor where someone types: arrows, paste, the questions of earlier chats.
    pub(super) fn open(is_typed: bool, quiet: bool, limit: usize, history: QuestionHistory) -> Self {
        let config = Config::builder().history_ignore_space(true).max_history_size(history::MOST);
        let config = config.map_or_else(|_| Config::default(), |config| config.build());
        let in_memory = MemHistory::with_config(&config);
        let editor = is_typed.then(|| Editor::with_history(config, in_memory).ok()).flatten();
        let editor = editor.map(|mut editor| {
            editor.set_helper(Some(Questions));
            for question in history.read() {
                let _ = editor.add_history_entry(question);
            }
            editor
        });
        Lines { editor, prompt: if quiet { "" } else { "> " }, limit, history }
    }

    /// The next question or command.
    pub(super) fn next(&mut self) -> Result<Line, Failure> {
        let Some(editor) = &mut self.editor else {
            let line = piped(&mut io::stdin().lock(), self.limit);
            return line.map_err(|error| Failure::new(format!("standard input: {error}")));
        };
        let mut interrupted = false;
        loop {
            match editor.readline(self.prompt) {
                Ok(text) if text.len() > self.limit => return Ok(Line::TooLong),
                Ok(text) => {
                    // One that is the same as the last is not taken again.
                    if editor.add_history_entry(&text).unwrap_or(false) {
                        self.history.keep(&text);
                    }
                    return Ok(Line::Text(joined(text.into_bytes())));
                }
                Err(ReadlineError::Eof) => {
                    terminal::end_line();
                    return Ok(Line::End);
                }
                Err(ReadlineError::Interrupted) if interrupted => return Err(Failure::Interrupted),
                Err(ReadlineError::Interrupted) => {
                    interrupted = true;
                    terminal::note("(Ctrl-C once more, Ctrl-D or /quit ends)");
                }
                Err(error) => return Err(Failure::new(format!("standard input: {error}"))),
            }
        }
    }
}

/// One question from a pipe. No more than `limit` bytes of it are held.
fn piped(input: &mut impl BufRead, limit: usize) -> io::Result<Line> {
    let mut text = Vec::new();
    loop {
        let room = (limit + 1).saturating_sub(text.len());
        let read = input.by_ref().take(room as u64).read_until(b'\n', &mut text)?;
        let ended = text.ends_with(b"\n");
        if ended {
            text.pop();
            if text.ends_with(b"\r") {
                text.pop();
            }
        }
        if text.len() > limit {
            if !ended {
                pass_over(input)?;
            }
            return Ok(Line::TooLong);
        }
        match (read, is_complete(&text)) {
            (0, _) if text.is_empty() => return Ok(Line::End),
            (0, _) | (_, true) => return Ok(Line::Text(joined(text))),
            // What the pipe ends within is complete.
            _ if !ended => return Ok(Line::Text(joined(text))),
            _ => text.push(b'\n'),
        }
    }
}

/// Reads to the end of the line without holding it.
fn pass_over(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let block = input.fill_buf()?;
        let end = block.iter().position(|&byte| byte == b'\n');
        let (used, done) = (end.map_or(block.len(), |at| at + 1), end.is_some() || block.is_empty());
        input.consume(used);
        if done {
            return Ok(());
        }
    }
}

/// Whether a question ends with what there is of it.
fn is_complete(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    match text.strip_prefix(QUOTES) {
        Some(rest) => rest.trim_ascii_end().ends_with(QUOTES),
        None => text.starts_with(b"/") || !ends_with_backslash(text),
    }
}

/// An even number of them are backslashes that are meant.
fn ends_with_backslash(text: &[u8]) -> bool {
    text.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// The question without the marks that held its lines together.
fn joined(text: Vec<u8>) -> Vec<u8> {
    let trimmed = text.trim_ascii();
    if let Some(rest) = trimmed.strip_prefix(QUOTES) {
        return rest.strip_suffix(QUOTES).unwrap_or(rest).trim_ascii().to_vec();
    }
    if trimmed.starts_with(b"/") {
        return trimmed.to_vec();
    }
    let lines = trimmed.split(|&byte| byte == b'\n');
    let lines = lines.map(|line| if ends_with_backslash(line) { &line[..line.len() - 1] } else { line });
    lines.collect::<Vec<_>>().join(&b'\n')
}

/// Tells the editor when a question is complete.
struct Questions;

impl Validator for Questions {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let complete = is_complete(context.input().as_bytes());
        Ok(if complete { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Completer for Questions {
    type Candidate = String;
}
impl Hinter for Questions {
    type Hint = String;
}
impl Highlighter for Questions {}
impl Helper for Questions {}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], limit: usize) -> Vec<Line> {
        let mut input = io::BufReader::with_capacity(3, input);
        let mut lines = Vec::new();
        while let line = piped(&mut input, limit).expect("read")
            && line != Line::End
        {
            lines.push(line);
        }
        lines
    }

    fn text(text: &str) -> Line {
        Line::Text(text.into())
    }

    #[test]
    fn questions_of_several_lines_are_one() {
        let input = b"one\r\n\"\"\"two\nlines\"\"\"\nthree \\\nfour\n\n\"\"\"\nfive\n\"\"\"\n/add a\\\nsix\\\\\nseven";
        let wanted = ["one", "two\nlines", "three \nfour", "", "five", "/add a\\", "six\\\\", "seven"].map(text);
        assert_eq!(all(input, 100), wanted);
        assert_eq!(all(b"\"\"\"never\nclosed", 100), [text("never\nclosed")]);
    }

    #[test]
    fn a_line_over_the_limit_is_passed_over_and_bad_bytes_are_kept() {
        let input = b"123456789 and more\n12345\ncaf\xe9\n";
        assert_eq!(all(input, 5), [Line::TooLong, text("12345"), Line::Text(b"caf\xe9".to_vec())]);
        assert_eq!(all(b"\"\"\"12\n34567\n\"\"\"\nx\n", 8)[0], Line::TooLong);
    }
}
