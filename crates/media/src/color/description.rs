//! The color description of a video stream.

use serde::Serialize;

/// Color description of a stream; `None` where the stream does not state a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Color {
    /// Matrix coefficients by ISO/IEC 23091-2 (1 = BT.709, 5 and 6 = BT.601, 9 = BT.2020).
    pub matrix: Option<u8>,
    /// Full range (0..255) rather than limited range (16..235).
    pub full_range: Option<bool>,
    /// Color primaries by ISO/IEC 23091-2.
    pub primaries: Option<u8>,
    /// Transfer characteristics by ISO/IEC 23091-2.
    pub transfer: Option<u8>,
}

impl Color {
    /// The values stated here, and those of `other` where this description states none.
    pub(crate) fn or(self, other: Color) -> Color {
        Color {
            matrix: self.matrix.or(other.matrix),
            full_range: self.full_range.or(other.full_range),
            primaries: self.primaries.or(other.primaries),
            transfer: self.transfer.or(other.transfer),
        }
    }
}
