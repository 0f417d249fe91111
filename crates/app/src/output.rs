//! Standard output: text as it comes, or JSON; and what a failed write means.

use std::borrow::Cow;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::ops::ControlFlow;

use serde::Serialize;

use crate::failure::Failure;
pub(crate) use crate::terminal::note;
use crate::terminal::visible;

/// A write to standard output that failed.
#[derive(Debug)]
pub(crate) struct Unwritten(pub(crate) io::Error);

impl From<Unwritten> for Failure {
    /// A reader that has gone away is no error, all else is.
    fn from(Unwritten(error): Unwritten) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure::Closed,
            ErrorKind::StorageFull => Failure::new("standard output: no space left on the device"),
            _ => Failure::new(format!("standard output: {error}")),
        }
    }
}

/// Writes text and makes sure it is seen now. On a terminal, control characters are made visible.
pub(crate) fn text(text: &str) -> Result<(), Unwritten> {
    let mut out = io::stdout().lock();
    let text = if out.is_terminal() { visible(text) } else { Cow::Borrowed(text) };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Unwritten)
}

/// The pieces of an answer on their way to standard output.
#[derive(Default)]
pub(crate) struct AnswerStream {
    failed: Option<Unwritten>,
}

impl AnswerStream {
    /// Writes a piece; breaks when that is not possible.
    pub(crate) fn write(&mut self, piece: &str) -> ControlFlow<()> {
        match text(piece) {
            Ok(()) => ControlFlow::Continue(()),
            Err(unwritten) => {
                self.failed = Some(unwritten);
                ControlFlow::Break(())
            }
        }
    }

    /// Whether all was written.
    pub(crate) fn finish(self) -> Result<(), Unwritten> {
        self.failed.map_or(Ok(()), Err)
    }
}

/// "7.8 GB".
pub(crate) fn size(bytes: u64) -> String {
    let number = bytes as f64;
    match bytes {
        0..1_000_000 => format!("{:.1} kB", number / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", number / 1e6),
        _ => format!("{:.1} GB", number / 1e9),
    }
}

/// Writes one JSON object over several lines, for people as well.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    write_json(serde_json::to_string_pretty(value))
}

/// Writes one JSON object on one line (JSON Lines).
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    write_json(serde_json::to_string(value))
}

fn write_json(line: serde_json::Result<String>) -> Result<(), Failure> {
    let line = line.map_err(|error| Failure::new(format!("JSON: {error}")))?;
    Ok(text(&(line + "\n"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_words() {
        assert_eq!([720, 7_816_089_600].map(size), ["0.7 kB", "7.8 GB"]);
    }

    #[test]
    fn only_a_reader_that_went_away_is_no_error() {
        assert!(matches!(Failure::from(Unwritten(ErrorKind::BrokenPipe.into())), Failure::Closed));
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::Other] {
            assert!(matches!(Failure::from(Unwritten(kind.into())), Failure::Error(..)), "{kind}");
        }
    }
}
