//! A sample on the media clock, before the edit list.

/// One coded frame as the sample tables or movie fragments list it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UneditedSample {
    /// Byte offset in the file.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) size: u32,
    /// Decoding time in ticks of the media clock.
    pub(super) dts: i64,
    /// Composition time offset (presentation minus decoding time) as stored; may be negative.
    pub(super) composition_offset: i32,
    /// Ticks.
    pub(super) duration: u32,
    /// Whether it is a sync sample.
    pub(super) keyframe: bool,
    /// Number of its sample description, from 0.
    pub(super) description: u32,
}

impl UneditedSample {
    /// Composition time: when the frame is shown on the media clock.
    pub(super) fn composition_time(&self) -> i64 {
        self.dts + i64::from(self.composition_offset)
    }
}
