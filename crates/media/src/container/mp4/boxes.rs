//! ISO base media boxes: iteration over the boxes of a slice that is in memory, full boxes and entry tables.

use super::super::byte_source::cursor::Cursor;
use crate::error::MediaError;

/// One box: its type and its contents, cut short when the parent ends first.
#[derive(Clone, Copy)]
pub(super) struct BoxSlice<'a> {
    /// Four-character box type.
    pub(super) fourcc: [u8; 4],
    pub(super) body: &'a [u8],
    /// Whether the body is shorter than the box header says.
    pub(super) truncated: bool,
}

/// The boxes of a slice, in order. Stops at the first header that makes no sense.
pub(super) struct Boxes<'a> {
    data: &'a [u8],
}

/// The boxes inside `data`.
pub(super) fn children(data: &[u8]) -> Boxes<'_> {
    Boxes { data }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = BoxSlice<'a>;

    fn next(&mut self) -> Option<BoxSlice<'a>> {
        let mut c = Cursor::new(self.data, "box");
        let short_size = u64::from(c.u32().ok()?);
        let fourcc = c.fourcc().ok()?;
        let (size, header) = match short_size {
            1 => (c.u64().ok()?, 16u64),
            0 => (self.data.len() as u64, 8),
            n => (n, 8),
        };
        let body_len = size.checked_sub(header)?;
        let rest = c.rest();
        let take = body_len.min(rest.len() as u64) as usize;
        self.data = &rest[take..];
        Some(BoxSlice { fourcc, body: &rest[..take], truncated: take as u64 != body_len })
    }
}

/// Contents of the first child of this type.
pub(super) fn find<'a>(data: &'a [u8], fourcc: &[u8; 4]) -> Option<&'a [u8]> {
    children(data).find(|c| c.fourcc == *fourcc).map(|c| c.body)
}

/// Follows a path of box types, taking the first child of each.
pub(super) fn find_path<'a>(data: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(data, |data, fourcc| find(data, fourcc))
}

/// Opens a full box: version, flags and a cursor after them.
pub(super) fn full_box<'a>(data: &'a [u8], part: &'static str) -> Result<(u8, u32, Cursor<'a>), MediaError> {
    let mut c = Cursor::new(data, part);
    let version = c.u8()?;
    let flags = c.u24()?;
    Ok((version, flags, c))
}

/// Opens a table of fixed-size entries. Returns the entries that are present in full, at most as many as it announces.
pub(super) fn table<'a>(c: &mut Cursor<'a>, entry_bytes: usize) -> Result<&'a [u8], MediaError> {
    let count = c.u32()?;
    let present = (c.left() / entry_bytes).min(count as usize);
    c.take(present * entry_bytes)
}

/// The big-endian u32 number `i` of a table; 0 past its end.
pub(super) fn word(table: &[u8], i: usize) -> u32 {
    match table.get(i * 4..i * 4 + 4) {
        Some(&[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
        _ => 0,
    }
}
