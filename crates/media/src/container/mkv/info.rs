//! `Info`: the clock and length of the segment.

use super::ebml::{children, float, uint};
use super::ids;
use crate::error::{MediaError, malformed};

/// What `Info` says.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentInfo {
    /// Nanoseconds per tick.
    pub(super) timestamp_scale: u64,
    /// Length in ticks.
    pub(super) duration: Option<f64>,
}

impl Default for SegmentInfo {
    /// A clock of milliseconds, no length.
    fn default() -> Self {
        SegmentInfo { timestamp_scale: 1_000_000, duration: None }
    }
}

/// Reads `Info`.
///
/// # Errors
/// `Malformed` for a number that is too long.
pub(super) fn read(data: &[u8]) -> Result<SegmentInfo, MediaError> {
    let mut info = SegmentInfo::default();
    for (id, body) in children(data) {
        match id {
            ids::TIMESTAMP_SCALE => info.timestamp_scale = uint(body)?,
            ids::DURATION => info.duration = Some(float(body)?).filter(|d| d.is_finite() && *d > 0.0),
            _ => {}
        }
    }
    Ok(info)
}

/// The clock of a segment: ticks per second, and how many of them a stored tick is.
pub(super) struct Clock {
    pub(super) timescale: u32,
    pub(super) each: i64,
}

impl Clock {
    /// The clock of a segment.
    pub(super) fn new(info: &SegmentInfo, warnings: &mut Vec<String>) -> Self {
        let scale = if info.timestamp_scale == 0 {
            warnings.push("the clock's tick is 0 ns, 1 ms is used".into());
            1_000_000
        } else {
            info.timestamp_scale
        };
        match 1_000_000_000 % scale {
            0 => Clock { timescale: (1_000_000_000 / scale) as u32, each: 1 },
            _ => Clock { timescale: 1_000_000_000, each: i64::try_from(scale).unwrap_or(i64::MAX) },
        }
    }

    /// A stored time in ticks.
    pub(super) fn ticks(&self, stored: i64) -> Result<i64, MediaError> {
        let time = stored.checked_mul(self.each).filter(|t| t.unsigned_abs() < i64::MAX as u64 / 8);
        time.ok_or_else(|| malformed("matroska block", format!("a time of {stored} x {} ns", self.each)))
    }

    /// A stored time in seconds.
    pub(super) fn seconds(&self, stored: i64) -> f64 {
        stored as f64 * self.each as f64 / f64::from(self.timescale)
    }
}
