//! The color description of a video stream.

use serde::{Deserialize, Serialize};

/// Color description of a stream; `None` where the stream does not state a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Color {
    /// Matrix coefficients by ISO/IEC 23091-2 (0 = planes of green, blue and red, 1 = BT.709, 5 and 6 = BT.601,
    /// 8 = YCgCo, 9 = BT.2020).
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

    /// What the conversion does with a matrix that it does not follow exactly; `None` for those it does.
    pub(crate) fn matrix_warning(self, subsampled: bool) -> Option<String> {
        let (name, taken) = match self.matrix? {
            0 if subsampled => ("RGB with subsampled chroma", "BT.601"),
            10 => ("BT.2020 with constant luminance", "BT.2020 with non-constant luminance"),
            11 => ("SMPTE ST 2085", "BT.601"),
            12 => ("by primaries, non-constant luminance", "BT.601"),
            13 => ("by primaries, constant luminance", "BT.601"),
            14 => ("ICtCp", "BT.601"),
            15 => ("IPT-C2", "BT.601"),
            16 | 17 => ("YCgCo-R", "BT.601"),
            0..=9 => return None,
            _ => ("unknown", "BT.601"),
        };
        Some(format!("color matrix {} ({name}) is taken as {taken}", self.matrix?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_that_are_not_followed_are_named() {
        let warning = |code, subsampled| Color { matrix: code, ..Color::default() }.matrix_warning(subsampled);
        for code in [None, Some(0), Some(1), Some(6), Some(8), Some(9)] {
            assert_eq!(warning(code, false), None);
        }
        assert!(warning(Some(0), true).unwrap().contains("matrix 0 (RGB"));
        assert!(warning(Some(14), true).unwrap().contains("matrix 14 (ICtCp)"));
        assert!(warning(Some(99), true).unwrap().contains("matrix 99 (unknown)"));
    }
}
