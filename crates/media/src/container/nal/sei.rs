//! Supplemental enhancement information (SEI): its messages, and the recovery point.

use super::bits::BitReader;
use super::units::unescape;

/// Bytes of an SEI unit that are looked at.
const MOST: usize = 4096;
/// Payload type of the recovery point message, in H.264 and in HEVC.
const RECOVERY_POINT: usize = 6;

/// Frames after which decoding that starts at this SEI unit is right; `None` when it has no recovery point. `header` is
/// the length of the unit's header: 1 byte in H.264, 2 in HEVC.
///
/// The unit must end where it ends: bytes of the next unit would be read as messages.
pub(in super::super) fn recovery_frames(unit: &[u8], header: usize) -> Option<u32> {
    let unit = unit.get(header..)?;
    let payload = unescape(&unit[..unit.len().min(MOST)]);
    let (_, body) = messages(&payload).find(|message| message.0 == RECOVERY_POINT)?;
    // HEVC codes a signed number; its magnitude is half of the code.
    BitReader::new(body).ue().map(|code| if header == 2 { code.div_ceil(2) } else { code })
}

/// The messages of an SEI unit without its header and without emulation prevention bytes: (payload type, payload).
/// A message that reaches past the end ends the list.
pub(crate) fn messages(payload: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        // What is left of a whole unit behind its messages is one byte of trailing bits.
        if rest.len() <= 2 {
            return None;
        }
        let (payload_type, size) = (number(&mut rest)?, number(&mut rest)?);
        let (body, after) = rest.split_at_checked(size)?;
        rest = after;
        Some((payload_type, body))
    })
}

/// A payload type or size: bytes of 255 add up, the first smaller byte ends the number.
fn number(data: &mut &[u8]) -> Option<usize> {
    let mut sum = 0usize;
    loop {
        let (&byte, rest) = data.split_first()?;
        *data = rest;
        sum = sum.checked_add(byte.into())?;
        if byte != 255 {
            return Some(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_messages_count() {
        // Picture timing (1) of 2 bytes, then a recovery point (6) of 1 byte: ue 0, three flags, stop bit.
        assert_eq!(recovery_frames(&[6, 1, 2, 9, 9, 6, 1, 0b1100_0100, 0x80], 1), Some(0));
        assert_eq!(recovery_frames(&[6, 6, 1, 0b0011_1110, 0x80], 1), Some(6));
        assert_eq!(recovery_frames(&[78, 1, 6, 1, 0b0010_0100, 0x80], 2), Some(2));
        // The second byte of a payload is no message type.
        assert_eq!(recovery_frames(&[6, 1, 4, 6, 1, 6, 1, 0x80], 1), None);
        assert_eq!(recovery_frames(&[6, 1, 200, 6, 1, 0x80], 1), None);
        assert_eq!(recovery_frames(&[6], 1), None);
    }
}
