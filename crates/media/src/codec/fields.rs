//! Whether an H.264 picture is coded as two fields: the few header bits that say so.

use super::nal::unescape;

/// What a sequence parameter set says about fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    separate_planes: bool,
    frame_number_bits: u32,
    frames_only: bool,
    adaptive: bool,
}

impl Fields {
    /// Reads a sequence parameter set unit; `None` when it ends early.
    pub(super) fn of_sps(unit: &[u8]) -> Option<Fields> {
        let payload = unescape(unit.get(1..)?);
        let mut bits = Bits { data: &payload, at: 24 };
        let profile = *payload.first()?;
        let mut fields = Fields::default();
        bits.golomb()?;
        if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            let chroma = bits.golomb()?;
            fields.separate_planes = chroma == 3 && bits.read(1)? == 1;
            bits.golomb()?;
            bits.golomb()?;
            bits.read(1)?;
            if bits.read(1)? == 1 {
                for list in 0..if chroma == 3 { 12 } else { 8 } {
                    if bits.read(1)? == 1 {
                        bits.skip_scaling(if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        fields.frame_number_bits = bits.golomb()?.checked_add(4).filter(|&n| n <= 16)?;
        match bits.golomb()? {
            0 => drop(bits.golomb()?),
            1 => {
                bits.read(1)?;
                bits.golomb()?;
                bits.golomb()?;
                for _ in 0..bits.golomb()?.min(255) {
                    bits.golomb()?;
                }
            }
            _ => {}
        }
        bits.golomb()?;
        bits.read(1)?;
        bits.golomb()?;
        bits.golomb()?;
        fields.frames_only = bits.read(1)? == 1;
        fields.adaptive = !fields.frames_only && bits.read(1)? == 1;
        Some(fields)
    }

    /// Whether the picture that this slice unit belongs to consists of fields (its own, or macroblock by macroblock).
    pub(super) fn interlaced(self, slice: &[u8]) -> bool {
        if self.frames_only {
            return false;
        }
        let payload = unescape(&slice[1..slice.len().min(40)]);
        let mut bits = Bits { data: &payload, at: 0 };
        let mut field = || {
            for _ in 0..3 {
                bits.golomb()?;
            }
            bits.read(if self.separate_planes { 2 } else { 0 } + self.frame_number_bits)?;
            bits.read(1)
        };
        self.adaptive || field() == Some(1)
    }
}

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.data.get(self.at / 8)?;
            value = (value << 1) | u32::from((byte >> (7 - self.at % 8)) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// An unsigned Exp-Golomb number.
    fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.read(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some(((1u64 << zeros) - 1 + u64::from(self.read(zeros)?)) as u32)
    }

    fn signed(&mut self) -> Option<i64> {
        let n = i64::from(self.golomb()?);
        Some(if n % 2 == 1 { (n + 1) / 2 } else { -(n / 2) })
    }

    fn skip_scaling(&mut self, size: usize) -> Option<()> {
        let (mut last, mut next) = (8, 8);
        for _ in 0..size {
            if next != 0 {
                next = (last + self.signed()?).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        // 1 | 010 | 011 | 00100 | 00101 pad
        let mut bits = Bits { data: &[0b1010_0110, 0b0100_0010, 0b1000_0000], at: 0 };
        let numbers: Vec<_> = (0..5).map(|_| bits.golomb()).collect();
        assert_eq!(numbers, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(Bits { data: &[0; 9], at: 0 }.golomb(), None);
        assert_eq!(Fields::of_sps(&[0x67]), None);
    }
}
