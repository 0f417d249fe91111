//! Bits and Exp-Golomb codes of a NAL unit header.

use super::units;

/// Reads bits from the top of each byte.
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    /// Position in bits.
    pos: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        BitReader { data, pos: 0 }
    }

    /// The next `n` bits as a number.
    pub(super) fn read(&mut self, n: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..n {
            let byte = *self.data.get(self.pos / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.pos % 8) & 1);
            self.pos += 1;
        }
        Some(value)
    }

    /// Steps over `n` bits.
    pub(super) fn skip(&mut self, n: u32) -> Option<()> {
        self.pos += n as usize;
        (self.pos <= 8 * self.data.len()).then_some(())
    }

    /// An unsigned Exp-Golomb number below 2^31.
    pub(super) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.read(1)? == 0 {
            zeros += 1;
            if zeros > 30 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.read(zeros)?)
    }

    /// Steps over a scaling list of `count` entries.
    pub(super) fn skip_scaling_list(&mut self, count: usize) -> Option<()> {
        let (mut last, mut next) = (8i64, 8i64);
        for _ in 0..count {
            if next != 0 {
                let code = i64::from(self.ue()?);
                let delta = if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) };
                next = (last + delta).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
        Some(())
    }
}

/// A unit without its emulation prevention bytes: at most the first kilobyte, enough for a header.
pub(super) fn unescape(data: &[u8]) -> Vec<u8> {
    units::unescape(&data[..data.len().min(1024)])
}
