//! Supplemental enhancement information (SEI): the display orientation of H.264 and HEVC.

use crate::container::nal::sei::messages;
use crate::container::nal::units::unescape;
use crate::container::track::Orientation;

/// The payload type of the display orientation message.
const DISPLAY_ORIENTATION: usize = 47;

/// The orientation that the first display orientation message of an SEI unit asks for. `payload` is the unit without
/// its header. `None` without such a message, or when it cancels an earlier one or asks for no quarter turn.
pub(super) fn display_orientation(payload: &[u8]) -> Option<Orientation> {
    let payload = unescape(payload);
    let (_, body) = messages(&payload).find(|message| message.0 == DISPLAY_ORIENTATION)?;
    orientation(body)
}

/// Cancel flag, horizontal flip, vertical flip, and after them the counterclockwise turn in units of 1/65536 of a
/// circle (ITU-T H.264, D.2.27).
fn orientation(body: &[u8]) -> Option<Orientation> {
    let &[first, second, third, ..] = body else { return None };
    let flag = |bit: u8| first >> bit & 1 == 1;
    let turn = u32::from(first & 31) << 11 | u32::from(second) << 3 | u32::from(third) >> 5;
    if flag(7) || turn % (1 << 14) != 0 {
        return None;
    }
    let (horizontal, vertical) = (flag(6), flag(5));
    let quarters = (turn >> 14) as u16;
    // A vertical flip is a horizontal one and half a turn.
    let half = if vertical { 180 } else { 0 };
    Some(Orientation { mirrored: horizontal != vertical, rotation: (half + 360 - 90 * quarters) % 360 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A display orientation message after another message.
    fn unit(cancel: bool, flips: u32, turn: u32) -> Vec<u8> {
        let bits = (u32::from(cancel) << 23) | (flips << 21) | (turn << 5) | 0b1_0000;
        [&[5, 2, 7, 7, 47, 3][..], &bits.to_be_bytes()[1..], &[0x80]].concat()
    }

    #[test]
    fn flips_and_turns_are_read() {
        for (flips, turn, mirrored, rotation) in [
            (0b00, 0, false, 0),
            (0b00, 0x4000, false, 270),
            (0b00, 0x8000, false, 180),
            (0b00, 0xc000, false, 90),
            (0b10, 0, true, 0),
            (0b01, 0, true, 180),
            (0b11, 0, false, 180),
            (0b10, 0x4000, true, 270),
        ] {
            let expected = Some(Orientation { mirrored, rotation });
            assert_eq!(display_orientation(&unit(false, flips, turn)), expected, "{flips:02b} {turn:x}");
        }
    }

    #[test]
    fn what_is_no_quarter_turn_or_no_message_is_left() {
        assert_eq!(display_orientation(&unit(true, 0, 0x8000)), None);
        assert_eq!(display_orientation(&unit(false, 0, 0x8001)), None);
        let whole = unit(false, 0, 0x8000);
        for cut in 0..whole.len() - 1 {
            assert_eq!(display_orientation(&whole[..cut]), None);
        }
        assert_eq!(display_orientation(&[255; 40]), None);
    }
}
