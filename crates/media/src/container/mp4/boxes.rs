//! Boxes: iterating over the children of a box that is already in memory, and small helpers on them.

use super::super::bytes::Cursor;
use crate::MediaError;

/// One box: its code and its contents (cut short when the parent ends first).
#[derive(Clone, Copy)]
pub(super) struct Child<'a> {
    pub(super) kind: [u8; 4],
    pub(super) body: &'a [u8],
    /// Whether the body is shorter than the box says.
    pub(super) cut: bool,
}

/// Children of a box, in order; stops at the first header that makes no sense.
pub(super) struct Children<'a> {
    data: &'a [u8],
}

/// The boxes inside `data`.
pub(super) fn children(data: &[u8]) -> Children<'_> {
    Children { data }
}

impl<'a> Iterator for Children<'a> {
    type Item = Child<'a>;

    fn next(&mut self) -> Option<Child<'a>> {
        let mut c = Cursor::new(self.data, "box");
        let short = u64::from(c.u32().ok()?);
        let kind = c.fourcc().ok()?;
        let (size, header) = match short {
            1 => (c.u64().ok()?, 16u64),
            0 => (self.data.len() as u64, 8),
            n => (n, 8),
        };
        let body_len = size.checked_sub(header)?;
        let rest = c.rest();
        let take = body_len.min(rest.len() as u64) as usize;
        self.data = &rest[take..];
        Some(Child { kind, body: &rest[..take], cut: take as u64 != body_len })
    }
}

/// The first child of this kind.
pub(super) fn find<'a>(data: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    children(data).find(|c| c.kind == *kind).map(|c| c.body)
}

/// Follows a path of kinds, first child each.
pub(super) fn find_path<'a>(data: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(data, |data, kind| find(data, kind))
}

/// A full box: version, flags and the position after them.
pub(super) fn full<'a>(data: &'a [u8], part: &'static str) -> Result<(u8, u32, Cursor<'a>), MediaError> {
    let mut c = Cursor::new(data, part);
    let version = c.u8()?;
    let flags = c.u24()?;
    Ok((version, flags, c))
}

/// A table of fixed-size entries: the count as stored, and the whole entries that are present (at most that many).
pub(super) fn table<'a>(c: &mut Cursor<'a>, entry: usize) -> Result<(u32, &'a [u8]), MediaError> {
    let count = c.u32()?;
    let have = (c.left() / entry).min(count as usize);
    Ok((count, c.take(have * entry)?))
}

/// Big-endian number at entry `i` of a table of `u32` words; the caller keeps `i` inside.
pub(super) fn word(table: &[u8], i: usize) -> u32 {
    match table.get(i * 4..i * 4 + 4) {
        Some(&[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
        _ => 0,
    }
}
