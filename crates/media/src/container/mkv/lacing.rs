//! Lacing: several frames in one block.

use super::super::byte_source::cursor::Cursor;
use super::ebml::vint;
use crate::error::{MediaError, malformed};

/// Sizes of the frames of a lace of `total` bytes that starts with `head`, and the bytes that its header takes.
///
/// `lacing` is the type in the block's flags: 1 Xiph, 2 fixed size, 3 EBML.
pub(super) fn frame_sizes(lacing: u8, head: &[u8], total: u64) -> Result<(Vec<u64>, u64), MediaError> {
    let wrong = || malformed("matroska lace", "its sizes do not add up");
    let mut c = Cursor::new(head, "matroska lace");
    let frames = u64::from(c.u8()?) + 1;
    let mut sizes: Vec<u64> = Vec::with_capacity(frames as usize);
    let number = |c: &mut Cursor<'_>| -> Result<(u64, usize), MediaError> {
        let (value, len) = vint(c.rest()).ok_or_else(wrong)?;
        c.skip(len)?;
        Ok((value, len))
    };
    for i in 0..frames - 1 {
        let size = match lacing {
            1 => {
                let mut sum = 0;
                loop {
                    let b = c.u8()?;
                    sum += u64::from(b);
                    if b < 255 {
                        break sum;
                    }
                }
            }
            2 => {
                if !(total - 1).is_multiple_of(frames) {
                    return Err(wrong());
                }
                (total - 1) / frames
            }
            _ if i == 0 => number(&mut c)?.0,
            _ => {
                let (value, len) = number(&mut c)?;
                let bias = (1i64 << (7 * len - 1)) - 1;
                let delta = (value as i64) - bias;
                let previous = sizes.last().copied().unwrap_or(0);
                previous.checked_add_signed(delta).ok_or_else(wrong)?
            }
        };
        sizes.push(size);
    }
    let used = (head.len() - c.left()) as u64;
    let sum = sizes.iter().try_fold(used, |s, &n| s.checked_add(n)).ok_or_else(wrong)?;
    sizes.push(total.checked_sub(sum).ok_or_else(wrong)?);
    Ok((sizes, used))
}
