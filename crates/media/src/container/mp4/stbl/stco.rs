//! `stco` and `co64`, the chunk offsets.

use super::super::boxes::{find, full_box, table, word};
use crate::error::{MediaError, malformed};

/// Byte offsets of the chunks, 32 or 64 bits each.
pub(super) struct ChunkOffsets<'a> {
    table: &'a [u8],
    /// Whether entries have 64 bits (`co64`).
    wide: bool,
}

impl<'a> ChunkOffsets<'a> {
    /// Reads `stco`, else `co64`.
    ///
    /// # Errors
    /// `Malformed` without either.
    pub(super) fn read(stbl: &'a [u8]) -> Result<Self, MediaError> {
        let (body, wide) = match (find(stbl, b"stco"), find(stbl, b"co64")) {
            (Some(body), _) => (body, false),
            (None, Some(body)) => (body, true),
            (None, None) => return Err(malformed("stbl box", "no chunk offsets (stco or co64)")),
        };
        let (_, _, mut c) = full_box(body, "stco box")?;
        let table = table(&mut c, if wide { 8 } else { 4 })?;
        Ok(ChunkOffsets { table, wide })
    }

    /// Number of chunks.
    pub(super) fn count(&self) -> usize {
        self.table.len() / if self.wide { 8 } else { 4 }
    }

    /// Byte offset of chunk `i` in the file.
    pub(super) fn offset(&self, i: usize) -> u64 {
        if self.wide {
            u64::from(word(self.table, 2 * i)) << 32 | u64::from(word(self.table, 2 * i + 1))
        } else {
            u64::from(word(self.table, i))
        }
    }
}
