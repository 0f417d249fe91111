//! Run-length tables of (count, value) pairs, the form of `stts` and `ctts`.

use super::super::super::byte_source::cursor::Cursor;
use super::super::boxes::{find, full_box, table, word};
use crate::error::MediaError;

/// A run-length table read one sample at a time.
pub(super) struct RunLengths<'a> {
    pairs: &'a [u8],
    at: usize,
    left: u32,
    value: u32,
}

impl<'a> RunLengths<'a> {
    /// Reads the table of box type `fourcc`; an empty one when the box is missing.
    pub(super) fn read(stbl: &'a [u8], fourcc: &[u8; 4], part: &'static str) -> Result<Self, MediaError> {
        let empty = RunLengths { pairs: &[], at: 0, left: 0, value: 0 };
        let Some(body) = find(stbl, fourcc) else { return Ok(empty) };
        let (_, _, mut c): (_, _, Cursor<'a>) = full_box(body, part)?;
        Ok(RunLengths { pairs: table(&mut c, 8)?, ..empty })
    }

    /// Whether the table has no run.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Moves to the run of the next sample; false when the table is used up.
    fn advance(&mut self) -> bool {
        while self.left == 0 {
            if self.at * 8 >= self.pairs.len() {
                return false;
            }
            self.left = word(self.pairs, 2 * self.at);
            self.value = word(self.pairs, 2 * self.at + 1);
            self.at += 1;
        }
        self.left -= 1;
        true
    }

    /// The next sample's value; the last value again when the table is short.
    pub(super) fn next_or_last(&mut self) -> u32 {
        self.advance();
        self.value
    }

    /// The next sample's value; zero when the table is short.
    pub(super) fn next_or_zero(&mut self) -> u32 {
        if self.advance() { self.value } else { 0 }
    }
}
