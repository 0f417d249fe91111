//! EBML (RFC 8794): element headers and simple values.

use super::super::byte_source::PeekReader;
use crate::error::{MediaError, malformed};

/// The header of an element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    pub(super) id: u32,
    /// Offset of the contents.
    pub(super) body: u64,
    /// Size of the contents in bytes; `None` when unknown.
    pub(super) size: Option<u64>,
}

/// Reads an element header from a slice: id, size, and bytes used. `None` when it is short or makes no sense.
fn header(data: &[u8]) -> Option<(u32, Option<u64>, usize)> {
    let first = *data.first()?;
    let id_len = first.leading_zeros() as usize + 1;
    if id_len > 4 {
        return None;
    }
    let id = data.get(..id_len)?.iter().fold(0u32, |v, &b| v << 8 | u32::from(b));
    let (size, size_len) = vint(data.get(id_len..)?)?;
    let unknown = size == (1u64 << (7 * size_len)) - 1;
    Some((id, Some(size).filter(|_| !unknown), id_len + size_len))
}

/// A variable-length integer without its marker, and its length in bytes (1 to 8).
pub(super) fn vint(data: &[u8]) -> Option<(u64, usize)> {
    let first = *data.first()?;
    let len = first.leading_zeros() as usize + 1;
    if len > 8 {
        return None;
    }
    let bytes = data.get(..len)?;
    let marker = 0x80u8 >> (len - 1);
    let value = bytes[1..].iter().fold(u64::from(first & !marker), |v, &b| v << 8 | u64::from(b));
    Some((value, len))
}

/// Reads the element header at `at`; `None` at the end of the source or when it makes no sense.
pub(super) fn element(reader: &mut PeekReader<'_>, at: u64) -> Result<Option<Element>, MediaError> {
    let data = reader.peek(at, 12)?;
    Ok(header(data).map(|(id, size, used)| Element { id, body: at + used as u64, size }))
}

/// The child elements of an element that is in memory. Stops at the first header that makes no sense and cuts the last
/// child at the end.
pub(super) struct Children<'a> {
    data: &'a [u8],
}

/// The elements inside `data`.
pub(super) fn children(data: &[u8]) -> Children<'_> {
    Children { data }
}

impl<'a> Iterator for Children<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, size, used) = header(self.data)?;
        let rest = &self.data[used..];
        let take = size.map_or(rest.len(), |s| s.min(rest.len() as u64) as usize);
        self.data = &rest[take..];
        Some((id, &rest[..take]))
    }
}

/// An unsigned integer of 0 to 8 bytes.
pub(super) fn uint(data: &[u8]) -> Result<u64, MediaError> {
    match data.len() {
        0..=8 => Ok(data.iter().fold(0, |v, &b| v << 8 | u64::from(b))),
        n => Err(malformed("matroska number", format!("it has {n} bytes"))),
    }
}

/// A float of 0, 4 or 8 bytes.
pub(super) fn float(data: &[u8]) -> Result<f64, MediaError> {
    match *data {
        [] => Ok(0.0),
        [a, b, c, d] => Ok(f64::from(f32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Ok(f64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ => Err(malformed("matroska float", format!("it has {} bytes", data.len()))),
    }
}
