//! NAL unit types, as far as frame boundaries are concerned.

/// What a NAL unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum UnitType {
    /// Access unit delimiter.
    Delimiter,
    /// A slice.
    Slice,
    /// H.264 sequence parameter set (SPS).
    Sps,
    /// Anything else.
    Other,
}

/// Type of an H.264 unit.
pub(in super::super) fn h264(unit: &[u8]) -> UnitType {
    match unit.first().map_or(0, |b| b & 31) {
        9 => UnitType::Delimiter,
        1..=5 => UnitType::Slice,
        7 => UnitType::Sps,
        _ => UnitType::Other,
    }
}

/// Type of an HEVC unit.
pub(in super::super) fn hevc(unit: &[u8]) -> UnitType {
    match unit.first().map_or(63, |b| b >> 1 & 63) {
        35 => UnitType::Delimiter,
        0..=31 => UnitType::Slice,
        _ => UnitType::Other,
    }
}
