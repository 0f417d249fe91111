//! A JSON array of rows. The file is read once for the places of its elements, which may have any form.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::shared_file::SharedFile;
use super::store::{Row, RowStore};
use crate::data::fault::{FaultKind, RowResult};

/// Most bytes of one row: pictures may be written in it as base64.
const MAX_ROW_BYTES: u64 = 64 << 20;

/// Where a row stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JsonSpan {
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// Rows of a JSON file.
pub(super) struct JsonRows {
    pub(super) file: Arc<SharedFile>,
    pub(super) spans: Vec<JsonSpan>,
}

impl RowStore for JsonRows {
    fn len(&self) -> u64 {
        self.spans.len() as u64
    }

    fn row(&self, index: u64) -> RowResult<Row> {
        let span = usize::try_from(index).ok().and_then(|index| self.spans.get(index));
        let Some(&JsonSpan { offset, size }) = span else {
            return Err(FaultKind::Unreadable.of(format!("row {index} wanted, there are {}", self.spans.len())));
        };
        let bytes = read_row(&self.file, offset, size)?;
        Ok(Row { fields: object(&bytes)?, members: Vec::new() })
    }
}

/// The bytes of a row, if they are not too many.
pub(super) fn read_row(file: &SharedFile, offset: u64, size: u64) -> RowResult<Vec<u8>> {
    if size > MAX_ROW_BYTES {
        return Err(FaultKind::TooLong.of(format!("{size} bytes, at most {MAX_ROW_BYTES}")));
    }
    file.read(offset, size).map_err(|error| FaultKind::Unreadable.of(error.to_string()))
}

/// The fields of a row.
pub(super) fn object(bytes: &[u8]) -> RowResult<serde_json::Map<String, Value>> {
    // Without the line's end, so that places in it are told as those of one line.
    match serde_json::from_slice(bytes.trim_ascii_end()) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(FaultKind::NotAnObject.of(format!("it is {}", type_name(&other)))),
        Err(error) => Err(FaultKind::NotJson.of(error.to_string())),
    }
}

/// Whether bytes are one object.
pub(super) fn is_object(bytes: &[u8]) -> bool {
    serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(bytes).is_ok()
}

/// The JSON type of a value, with its article.
pub(in crate::data) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The places of the elements of the array whose `[` was read last; `begin` is the place behind it. An array that does
/// not end has one more row, which is no JSON.
///
/// # Errors
/// `InvalidData` when something follows the array.
pub(super) fn spans(file: &mut impl BufRead, begin: u64) -> io::Result<Vec<JsonSpan>> {
    let mut scan = Scan { at: begin, ..Scan::default() };
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        for &byte in bytes {
            scan.push(byte)?;
            scan.at += 1;
        }
        let taken = bytes.len();
        file.consume(taken);
    }
    if !scan.is_over {
        let offset = scan.begin.unwrap_or(scan.at);
        scan.spans.push(JsonSpan { offset, size: scan.at - offset });
    }
    Ok(scan.spans)
}

/// A scan of the elements of an array, byte by byte.
#[derive(Default)]
struct Scan {
    at: u64,
    /// The first byte of the element at hand.
    begin: Option<u64>,
    depth: u64,
    in_string: bool,
    is_escaped: bool,
    is_over: bool,
    spans: Vec<JsonSpan>,
}

impl Scan {
    fn push(&mut self, byte: u8) -> io::Result<()> {
        if self.in_string {
            self.in_string = self.is_escaped || byte != b'"';
            self.is_escaped = !self.is_escaped && byte == b'\\';
            return Ok(());
        }
        if byte.is_ascii_whitespace() {
            return Ok(());
        }
        if self.is_over {
            let text = format!("something follows the end of the array, at byte {}", self.at);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        match byte {
            b',' | b']' if self.depth == 0 => {
                if let Some(offset) = self.begin.take() {
                    self.spans.push(JsonSpan { offset, size: self.at - offset });
                }
                self.is_over = byte == b']';
                return Ok(());
            }
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            b'"' => self.in_string = true,
            _ => {}
        }
        self.begin.get_or_insert(self.at);
        Ok(())
    }
}
