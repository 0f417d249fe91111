//! Standard output: text as it comes, or one JSON object. A reader that has closed the pipe is not an error.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Writes text and makes sure it is seen now.
pub(crate) fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a piece of an answer. On a terminal, control characters are made visible: a model's words must not steer it.
pub(crate) fn answer(piece: &str) -> io::Result<()> {
    if io::stdout().is_terminal() { text(&visible(piece)) } else { text(piece) }
}

fn visible(piece: &str) -> String {
    piece
        .chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

/// Writes one JSON object.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut line = serde_json::to_string_pretty(value).map_err(|error| Failure::new(format!("JSON: {error}")))?;
    line.push('\n');
    Ok(text(&line)?)
}

/// Writes a line to standard error; a closed standard error is ignored.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(visible("red\n\tcircle \u{1b}[2J\u{9b}x"), "red\n\tcircle \u{fffd}[2J\u{fffd}x");
    }
}
