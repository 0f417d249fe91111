//! `Info`: the clock and length of the segment.

use super::ebml::{children, float, uint};
use super::ids;
use crate::error::MediaError;

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
