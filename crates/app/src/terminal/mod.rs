//! Standard error, and which characters reach a terminal: names, configurations, errors and answers come from files
//! that nobody here wrote, and must not steer it.

mod wrap;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use console::Term;

/// Text in which control characters, and characters that turn the direction of what follows, are replaced.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn steers(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of another source on one line: it cannot pass for a line of ours.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// Writes lines to standard error, for a terminal broken between words; a closed standard error is ignored.
pub(crate) fn note(line: &str) {
    let _ = StandardError.write_all(format!("{}\n", fitted(line)).as_bytes());
}

/// Lines for standard error: broken between words where that is a terminal.
pub(crate) fn fitted(line: &str) -> Cow<'_, str> {
    columns().map_or(Cow::Borrowed(line), |columns| Cow::Owned(wrap::wrap(line, columns)))
}

/// How wide the terminal is that standard error goes to.
pub(crate) fn columns() -> Option<usize> {
    let size = io::stderr().is_terminal().then(|| Term::stderr().size_checked()).flatten();
    size.map(|(_, columns)| usize::from(columns))
}

/// Ends a line that someone has begun on the terminal: the echo of Ctrl-C, a prompt that was left.
pub(crate) fn end_line() {
    if io::stderr().is_terminal() {
        let _ = io::stderr().write_all(b"\n");
    }
}

/// Standard error with control characters made visible.
pub(crate) struct StandardError;

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(visible(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(visible("red\n\tcircle \u{1b}[2J\u{9b}x"), "red\n\tcircle \u{fffd}[2J\u{fffd}x");
        assert_eq!(visible("a\u{202e}gpj.exe"), "a\u{fffd}gpj.exe");
        assert!(matches!(visible("שלום, ça va? 👩\u{200d}🚀"), Cow::Borrowed(_)));
        assert_eq!(one_line("a\nerror: b\r"), "a error: b ");
    }
}
