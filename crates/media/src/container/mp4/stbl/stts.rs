//! `stts`, time to sample: the durations of the samples in decoding order.

use super::run_length::RunLengths;
use crate::error::{MediaError, malformed};

/// Durations of the samples, read one at a time.
pub(super) struct SampleDurations<'a> {
    runs: RunLengths<'a>,
    /// Durations so far that were negative as signed numbers.
    pub(super) negative: usize,
}

impl<'a> SampleDurations<'a> {
    /// Reads `stts`.
    ///
    /// # Errors
    /// `Malformed` when it has no run.
    pub(super) fn read(stbl: &'a [u8]) -> Result<Self, MediaError> {
        let runs = RunLengths::read(stbl, b"stts", "stts box")?;
        if runs.is_empty() {
            return Err(malformed("stts box", "frames without durations"));
        }
        Ok(SampleDurations { runs, negative: 0 })
    }

    /// Ticks of the next sample. A negative duration is counted and taken as 1.
    pub(super) fn next_duration(&mut self) -> u32 {
        match self.runs.next_or_last() {
            n if n > i32::MAX as u32 => {
                self.negative += 1;
                1
            }
            n => n,
        }
    }
}
