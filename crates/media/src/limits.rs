//! What one file may cost; checked from headers before anything is allocated.

use std::time::Duration;

/// Limits of one media file. Numbers are inclusive.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Pixels of one picture (width times height).
    pub pixels: u64,
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
    /// Memory a decoder process may take.
    pub child_bytes: u64,
    /// Time a decoder process may take.
    pub child_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            file_bytes: 64 << 30,
            pixels: 100_000_000,
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
