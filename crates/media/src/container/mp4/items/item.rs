//! An item of a HEIF file, and how its number is written.

use super::super::super::byte_source::cursor::Cursor;
use super::super::super::track::Codec;
use super::super::super::track::codec_of_fourcc;
use crate::error::MediaError;

/// Items of a file, extents of all items, and references between items, at most.
pub(super) const MAX_ENTRIES: u64 = 1 << 16;

/// One item.
#[derive(Clone, Debug, Default)]
pub(crate) struct Item {
    /// Four-character item type: a codec, `grid` or `iden`.
    pub(crate) kind: [u8; 4],
    /// Where its bytes are: offset and length in the file, or in `idat`. A length of `None` reaches to the end.
    pub(super) extents: Vec<(u64, Option<u64>)>,
    /// 0: offsets in the file, 1: offsets in `idat`, 2: in other items.
    pub(super) construction: u8,
    /// Positions in [`Items::properties`] in the order in which they apply, and whether a reader must know them.
    pub(super) properties: Vec<(u16, bool)>,
    /// References to other items, by their type (`dimg`: made of, `auxl`: auxiliary of, `prem`: premultiplied with).
    pub(super) references: Vec<([u8; 4], Vec<u32>)>,
    /// Whether its data is encrypted or in another file.
    pub(super) unreachable: bool,
}

impl Item {
    /// The codec of a coded picture.
    pub(crate) fn codec(&self) -> Codec {
        codec_of_fourcc(self.kind)
    }

    /// The items that this one refers to with references of this type, in order.
    pub(crate) fn referred(&self, kind: &[u8; 4]) -> impl Iterator<Item = u32> {
        self.references.iter().filter(move |(k, _)| k == kind).flat_map(|(_, to)| to.iter().copied())
    }
}

/// Reads an item's number, in its short or its long form.
pub(super) fn item_id(c: &mut Cursor<'_>, long: bool) -> Result<u32, MediaError> {
    if long { c.u32() } else { Ok(c.u16()?.into()) }
}
