//! What one file may cost. Limits are checked on headers, before anything of that size is allocated.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::MediaError;

/// Limits of one media file. Numbers are inclusive.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Pixels of one frame of a video or an animation (width times height).
    pub pixels: u64,
    /// Bytes of the decoded pixels of one still picture, and bytes of the RGB made of them. A decoder's working memory
    /// comes on top.
    pub picture_bytes: u64,
    /// Samples (coded frames) a track may list.
    pub samples: u64,
    /// Bytes of one coded frame.
    pub sample_bytes: u64,
    /// Bytes of headers (boxes, elements) read into memory.
    pub header_bytes: u64,
    /// Nesting of boxes or elements.
    pub depth: u32,
    /// Seconds of media.
    pub seconds: f64,
    /// Bytes of memory a decoder process may take.
    pub child_bytes: u64,
    /// Time a decoder process may take.
    pub child_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            file_bytes: 64 << 30,
            pixels: 100_000_000,
            picture_bytes: 1 << 30,
            samples: 4_000_000,
            sample_bytes: 64 << 20,
            header_bytes: 256 << 20,
            depth: 16,
            seconds: 24.0 * 3600.0,
            child_bytes: 2 << 30,
            child_time: Duration::from_secs(600),
        }
    }
}

impl Limits {
    /// Fails when a frame of this coded size has more pixels than allowed.
    pub(crate) fn check_pixels(&self, width: u64, height: u64) -> Result<(), MediaError> {
        check_limit("pixels of a frame", width.saturating_mul(height), self.pixels)
    }
}

/// Fails when `number` is over `limit`.
pub(crate) fn check_limit(what: &'static str, number: u64, limit: u64) -> Result<(), MediaError> {
    if number > limit {
        return Err(MediaError::Limit { what, number, limit });
    }
    Ok(())
}
