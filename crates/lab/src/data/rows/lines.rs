//! JSON Lines: one object a line. The file is read once for the places of its lines.

use std::io::{self, BufRead};

use super::array::JsonSpan;

/// The places of the lines of `file` that are not blank. `begin` is the place of its first byte.
pub(super) fn spans(file: &mut impl BufRead, begin: u64) -> io::Result<Vec<JsonSpan>> {
    let mut spans = Vec::new();
    let (mut at, mut line, mut is_blank) = (begin, begin, true);
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        is_blank = is_blank && bytes[..taken].iter().all(u8::is_ascii_whitespace);
        at += taken as u64;
        file.consume(taken);
        if end.is_some() {
            spans.extend((!is_blank).then_some(JsonSpan { offset: line, size: at - line }));
            (line, is_blank) = (at, true);
        }
    }
    spans.extend((!is_blank).then_some(JsonSpan { offset: line, size: at - line }));
    Ok(spans)
}
