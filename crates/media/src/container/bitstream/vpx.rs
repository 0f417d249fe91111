//! VP8 and VP9 frame headers (RFC 6386, section 9.1; VP9 bitstream specification, section 6.2).

use super::super::sample::facts::{RandomAccess, SampleFacts};

/// What the first bytes of a VP8 frame say.
pub(super) fn vp8(head: &[u8]) -> Option<SampleFacts> {
    let &tag = head.first()?;
    let random_access = if tag & 1 == 0 { RandomAccess::Yes } else { RandomAccess::No };
    Some(SampleFacts { random_access, order: None, hidden: tag >> 4 & 1 == 0 })
}

/// What the first byte of a VP9 frame says.
pub(super) fn vp9(head: &[u8]) -> Option<SampleFacts> {
    let &[first, ..] = head else { return None };
    let bit = |n: u32| first >> (7 - n) & 1 == 1;
    if first >> 6 != 2 {
        return None;
    }
    // Profile 3 has one more bit before `show_existing_frame`.
    let at = if bit(2) && bit(3) { 5 } else { 4 };
    if bit(at) {
        return Some(SampleFacts::default());
    }
    let (inter, shown) = (bit(at + 1), bit(at + 2));
    let random_access = if inter { RandomAccess::No } else { RandomAccess::Yes };
    Some(SampleFacts { random_access, order: None, hidden: !shown })
}

/// Whether the last byte of a sample says that it holds several frames (VP9 specification, annex B).
pub(super) fn is_superframe_marker(last: u8) -> bool {
    last >> 5 == 0b110
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_of_frames() {
        let yes = RandomAccess::Yes;
        let facts = |random_access, hidden| Some(SampleFacts { random_access, order: None, hidden });
        // Marker 10, profile 0, not existing, key frame, shown.
        assert_eq!(vp9(&[0b1000_0010]), facts(yes, false));
        assert_eq!(vp9(&[0b1000_0110]), facts(RandomAccess::No, false));
        assert_eq!(vp9(&[0b1000_0100]), facts(RandomAccess::No, true));
        assert_eq!(vp9(&[0b1000_1000]), facts(RandomAccess::No, false));
        assert_eq!(vp9(&[0b1011_0001]), facts(yes, false));
        assert_eq!((vp9(&[0b0000_0010]), vp9(&[])), (None, None));
        assert_eq!((vp8(&[0x10]), vp8(&[0x11]), vp8(&[0x01])), {
            (facts(yes, false), facts(RandomAccess::No, false), facts(RandomAccess::No, true))
        });
        assert!(is_superframe_marker(0xc1) && !is_superframe_marker(0xa1));
    }
}
