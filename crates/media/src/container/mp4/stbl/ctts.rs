//! `ctts`, composition time offsets: how long after its decoding time a frame is shown. They express B-frame
//! reordering.

use super::run_length::RunLengths;
use crate::error::MediaError;

/// Composition offsets of the samples, read one at a time.
pub(super) struct CompositionOffsets<'a>(RunLengths<'a>);

impl<'a> CompositionOffsets<'a> {
    /// Reads `ctts`. Without the box all offsets are zero.
    pub(super) fn read(stbl: &'a [u8]) -> Result<Self, MediaError> {
        Ok(CompositionOffsets(RunLengths::read(stbl, b"ctts", "ctts box")?))
    }

    /// Ticks of the next sample, signed in every version of the box; zero when the table is short.
    pub(super) fn next_offset(&mut self) -> i32 {
        self.0.next_or_zero() as i32
    }
}
