//! `stsc`, sample to chunk: how many samples each chunk has.

use super::super::boxes::{find, full_box, table, word};
use crate::error::MediaError;

/// Bytes of an entry: first chunk (from 1), samples per chunk, sample description.
const ENTRY_BYTES: usize = 12;

/// Walks the runs of `stsc` along with the chunks.
pub(super) struct SamplesPerChunk<'a> {
    runs: &'a [u8],
    /// Number of the current run.
    at: usize,
}

impl<'a> SamplesPerChunk<'a> {
    /// Reads `stsc`.
    ///
    /// # Errors
    /// `Malformed` when it is missing or short.
    pub(super) fn read(stbl: &'a [u8]) -> Result<Self, MediaError> {
        let (_, _, mut c) = full_box(find(stbl, b"stsc").unwrap_or(&[]), "stsc box")?;
        Ok(SamplesPerChunk { runs: table(&mut c, ENTRY_BYTES)?, at: 0 })
    }

    /// Whether no chunk is mapped.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Samples in chunk number `chunk` (from 0), and the number of their description (from 0). Calls must be in rising
    /// order.
    pub(super) fn samples_in(&mut self, chunk: usize) -> (u32, u32) {
        let runs = self.runs.len() / ENTRY_BYTES;
        while self.at + 1 < runs && word(self.runs, 3 * (self.at + 1)) as usize <= chunk + 1 {
            self.at += 1;
        }
        (word(self.runs, 3 * self.at + 1), word(self.runs, 3 * self.at + 2).saturating_sub(1))
    }
}
