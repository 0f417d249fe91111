//! AV1 temporal units (AV1 bitstream specification, sections 5.3 to 5.9).

use super::super::sample::facts::{RandomAccess, SampleFacts};

const SEQUENCE_HEADER: u8 = 1;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;

/// What the first frame header of a temporal unit says; `None` when it is not among the bytes.
///
/// Decoding starts at a shown key frame, which has a sequence header in its temporal unit or in the container.
pub(super) fn facts(head: &[u8]) -> Option<SampleFacts> {
    let (mut at, mut sequence, mut still) = (0, false, false);
    loop {
        let &header = head.get(at)?;
        let (kind, extension, sized) = (header >> 3 & 15, header & 4 != 0, header & 2 != 0);
        let mut payload = at + 1 + usize::from(extension);
        let size = if sized { leb128(head, &mut payload)? } else { head.len().checked_sub(payload)? };
        let body = head.get(payload..)?;
        match kind {
            SEQUENCE_HEADER => {
                sequence = true;
                // Profile in three bits, still picture, reduced header.
                still = body.first()? >> 3 & 1 == 1;
            }
            FRAME_HEADER | FRAME => {
                let &first = body.first()?;
                // Existing frame, then the type in two bits (0 is a key frame), then whether it is shown.
                let key = still || (first >> 7 == 0 && first >> 5 & 3 == 0 && first >> 4 & 1 == 1);
                let random_access = match (key, sequence) {
                    (true, true) => RandomAccess::Yes,
                    // The container may have the sequence header.
                    (true, false) => RandomAccess::IntraOnly,
                    (false, _) => RandomAccess::No,
                };
                return Some(SampleFacts { random_access, order: None, hidden: false });
            }
            _ => {}
        }
        at = payload.checked_add(size)?;
    }
}

fn leb128(data: &[u8], at: &mut usize) -> Option<usize> {
    let mut value = 0u64;
    for shift in 0..8 {
        let &byte = data.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 127) << (7 * shift);
        if byte < 128 {
            return usize::try_from(value).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_shown_key_frame_with_a_sequence_header() {
        let start = |unit: &[u8]| facts(unit).map(|facts| facts.random_access);
        let (delimiter, sequence) = ([0x12, 0], [0x0a, 1, 0]);
        let key: &[u8] = &[0x32, 1, 0b0001_0000];
        let inter: &[u8] = &[0x32, 1, 0b0011_0000];
        assert_eq!(start(&[&delimiter, &sequence[..], key].concat()), Some(RandomAccess::Yes));
        assert_eq!(start(&[&delimiter[..], key].concat()), Some(RandomAccess::IntraOnly));
        assert_eq!(start(&[&delimiter, &sequence[..], inter].concat()), Some(RandomAccess::No));
        assert_eq!(start(&[&delimiter, &sequence[..]].concat()), None);
        assert_eq!(start(&[0x0a, 0xff, 0xff]), None);
    }
}
