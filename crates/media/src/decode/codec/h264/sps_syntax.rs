//! The H.264 sequence parameter set beyond what the decoders tell: field coding, crop and sample aspect ratio.

use crate::container::nal::units::unescape;

/// Sample aspect ratios by `aspect_ratio_idc` from 1 on (ITU-T H.264, table E-1).
const ASPECTS: [(u32, u32); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];
/// The `aspect_ratio_idc` that is followed by the ratio itself.
const EXTENDED_ASPECT: u32 = 255;

/// What a sequence parameter set says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SpsSyntax {
    separate_planes: bool,
    frame_num_bits: u32,
    /// Whether all pictures are frames (`frame_mbs_only_flag`).
    pub(super) frames_only: bool,
    /// Whether the choice is made macroblock by macroblock (`mb_adaptive_frame_field_flag`).
    adaptive: bool,
    /// `seq_parameter_set_id`.
    pub(super) id: u32,
    /// Pixels to drop on the left and at the top.
    pub(super) crop_start: [usize; 2],
    /// Width and height in pixels after the crop on the right and at the bottom alone.
    pub(super) size_to_end: [usize; 2],
    /// Sample aspect ratio, where it is stated.
    pub(super) sample_aspect: Option<(u32, u32)>,
}

impl SpsSyntax {
    /// Reads a sequence parameter set unit; `None` when it ends early.
    pub(super) fn from_sps(unit: &[u8]) -> Option<SpsSyntax> {
        let payload = unescape(unit.get(1..)?);
        let mut bits = BitReader { data: &payload, at: 24 };
        let profile = *payload.first()?;
        let mut coding = SpsSyntax { id: bits.exp_golomb()?, ..SpsSyntax::default() };
        let mut chroma = 1;
        if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            chroma = bits.exp_golomb()?;
            coding.separate_planes = chroma == 3 && bits.read(1)? == 1;
            bits.exp_golomb()?;
            bits.exp_golomb()?;
            bits.read(1)?;
            if bits.read(1)? == 1 {
                for list in 0..if chroma == 3 { 12 } else { 8 } {
                    if bits.read(1)? == 1 {
                        bits.skip_scaling_list(if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        coding.frame_num_bits = bits.exp_golomb()?.checked_add(4).filter(|&n| n <= 16)?;
        match bits.exp_golomb()? {
            0 => drop(bits.exp_golomb()?),
            1 => {
                bits.read(1)?;
                bits.exp_golomb()?;
                bits.exp_golomb()?;
                for _ in 0..bits.exp_golomb()?.min(255) {
                    bits.exp_golomb()?;
                }
            }
            _ => {}
        }
        bits.exp_golomb()?;
        bits.read(1)?;
        let macroblocks = [bits.exp_golomb()?, bits.exp_golomb()?];
        coding.frames_only = bits.read(1)? == 1;
        coding.adaptive = !coding.frames_only && bits.read(1)? == 1;
        let fields = if coding.frames_only { 1 } else { 2 };
        let subsampled = match chroma {
            1 => [2, 2],
            2 => [2, 1],
            _ => [1, 1],
        };
        let crop_unit = [subsampled[0], subsampled[1] * fields];
        let coded = [macroblocks[0], macroblocks[1].checked_mul(fields as u32)?.checked_add(fields as u32 - 1)?];
        coding.read_crop(&mut bits, coded, crop_unit)?;
        // What a set that ends here does not state is optional.
        coding.sample_aspect = read_sample_aspect(&mut bits);
        Some(coding)
    }

    /// Reads the crop of pictures of `coded` macroblocks less one, in units of `unit` pixels.
    fn read_crop(&mut self, bits: &mut BitReader<'_>, coded: [u32; 2], unit: [usize; 2]) -> Option<()> {
        bits.read(1)?;
        let mut edges = [0; 4];
        if bits.read(1)? == 1 {
            for edge in &mut edges {
                *edge = bits.exp_golomb()? as usize;
            }
        }
        let [left, right, top, bottom] = edges;
        self.crop_start = [left.checked_mul(unit[0])?, top.checked_mul(unit[1])?];
        let to_end = |axis: usize, end: usize| {
            let pixels = (coded[axis] as usize).checked_add(1)?.checked_mul(16)?;
            pixels.checked_sub(end.checked_mul(unit[axis])?)
        };
        self.size_to_end = [to_end(0, right)?, to_end(1, bottom)?];
        Some(())
    }

    /// Whether the picture of this slice unit consists of fields, as a whole or macroblock by macroblock.
    pub(super) fn is_interlaced(self, slice: &[u8]) -> bool {
        if self.frames_only {
            return false;
        }
        let payload = unescape(&slice[1..slice.len().min(40)]);
        let mut bits = BitReader { data: &payload, at: 0 };
        let mut field = || {
            for _ in 0..3 {
                bits.exp_golomb()?;
            }
            bits.read(if self.separate_planes { 2 } else { 0 } + self.frame_num_bits)?;
            bits.read(1)
        };
        self.adaptive || field() == Some(1)
    }
}

/// Reads the start of the video usability information up to the sample aspect ratio; `None` where it is not stated.
fn read_sample_aspect(bits: &mut BitReader<'_>) -> Option<(u32, u32)> {
    if bits.read(1)? == 0 || bits.read(1)? == 0 {
        return None;
    }
    let aspect = match bits.read(8)? {
        EXTENDED_ASPECT => (bits.read(16)?, bits.read(16)?),
        code => *ASPECTS.get((code as usize).checked_sub(1)?)?,
    };
    (aspect.0 > 0 && aspect.1 > 0).then_some(aspect)
}

/// Reads bits from the top of each byte.
struct BitReader<'a> {
    data: &'a [u8],
    /// Position in bits.
    at: usize,
}

impl BitReader<'_> {
    fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.data.get(self.at / 8)?;
            value = (value << 1) | u32::from((byte >> (7 - self.at % 8)) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// An unsigned Exp-Golomb number (`ue(v)`).
    fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.read(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some(((1u64 << zeros) - 1 + u64::from(self.read(zeros)?)) as u32)
    }

    /// A signed Exp-Golomb number (`se(v)`).
    fn signed_exp_golomb(&mut self) -> Option<i64> {
        let n = i64::from(self.exp_golomb()?);
        Some(if n % 2 == 1 { (n + 1) / 2 } else { -(n / 2) })
    }

    fn skip_scaling_list(&mut self, size: usize) -> Option<()> {
        let (mut last, mut next) = (8, 8);
        for _ in 0..size {
            if next != 0 {
                next = (last + self.signed_exp_golomb()?).rem_euclid(256);
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
        let mut bits = BitReader { data: &[0b1010_0110, 0b0100_0010, 0b1000_0000], at: 0 };
        let numbers: Vec<_> = (0..5).map(|_| bits.exp_golomb()).collect();
        assert_eq!(numbers, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(BitReader { data: &[0; 9], at: 0 }.exp_golomb(), None);
        assert_eq!(SpsSyntax::from_sps(&[0x67]), None);
    }
}
