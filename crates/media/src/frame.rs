//! Frames with exact times: what this crate gives to every other.

/// An exact moment on the clock of a file: `ticks / scale` seconds. May be negative.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// Number of ticks.
    pub ticks: i64,
    /// Ticks per second; never zero.
    pub scale: u32,
}

impl Time {
    /// A time of `ticks / scale` seconds.
    pub fn new(ticks: i64, scale: u32) -> Self {
        Time { ticks, scale: scale.max(1) }
    }

    /// Seconds as a float. For display and for timestamps in prompts, never for choosing a frame.
    pub fn seconds(self) -> f64 {
        self.ticks as f64 / f64::from(self.scale)
    }
}

impl PartialEq for Time {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Time {}
impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Time {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let left = i128::from(self.ticks) * i128::from(other.scale);
        let right = i128::from(other.ticks) * i128::from(self.scale);
        left.cmp(&right)
    }
}

/// An 8-bit RGB image: rows from top to bottom, three bytes per pixel, no padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rgb {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height * 3` bytes.
    pub data: Vec<u8>,
}

/// One decoded frame, already rotated for display and converted to RGB.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Position in presentation order, from 0.
    pub index: usize,
    /// Presentation time on the clock of the file, edit lists applied.
    pub time: Time,
    /// The pixels.
    pub image: Rgb,
}
