//! NAL unit types, as far as frame boundaries and keyframes are concerned.

/// What a NAL unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum UnitType {
    /// Access unit delimiter.
    Delimiter,
    /// A slice.
    Slice {
        /// Whether it belongs to an IDR picture or to any random access picture of HEVC.
        keyframe: bool,
    },
    /// H.264 SEI message with a recovery point: decoding can start near here.
    RecoveryPoint,
    /// H.264 sequence parameter set (SPS).
    Sps,
    /// Anything else.
    Other,
}

/// Type of an H.264 unit.
pub(in super::super) fn h264(unit: &[u8]) -> UnitType {
    match unit.first().map_or(0, |b| b & 31) {
        9 => UnitType::Delimiter,
        5 => UnitType::Slice { keyframe: true },
        1..=4 => UnitType::Slice { keyframe: false },
        6 if has_recovery_point(&unit[1..]) => UnitType::RecoveryPoint,
        7 => UnitType::Sps,
        _ => UnitType::Other,
    }
}

/// Type of an HEVC unit.
pub(in super::super) fn hevc(unit: &[u8]) -> UnitType {
    match unit.first().map_or(63, |b| b >> 1 & 63) {
        35 => UnitType::Delimiter,
        16..=23 => UnitType::Slice { keyframe: true },
        0..=31 => UnitType::Slice { keyframe: false },
        _ => UnitType::Other,
    }
}

/// Whether one of the messages of an SEI unit is a recovery point (payload type 6).
fn has_recovery_point(mut data: &[u8]) -> bool {
    fn number(data: &mut &[u8]) -> Option<usize> {
        let mut sum = 0usize;
        loop {
            let (&b, rest) = data.split_first()?;
            *data = rest;
            sum += usize::from(b);
            if b != 255 {
                return Some(sum);
            }
        }
    }
    while data.len() > 2 {
        let (Some(payload_type), Some(size)) = (number(&mut data), number(&mut data)) else { return false };
        if payload_type == 6 {
            return true;
        }
        data = data.get(size..).unwrap_or(&[]);
    }
    false
}
