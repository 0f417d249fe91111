//! Standard output: text as it comes, or one JSON object. A reader that has closed the pipe is not an error.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Writes text and makes sure it is seen now.
pub(crate) fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
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
