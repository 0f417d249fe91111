//! The H.264 sequence parameter set (SPS): frame size, field coding and how picture order is coded.

use super::bits::{BitReader, unescape};

/// What an H.264 sequence parameter set says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Sps {
    /// Number that picture parameter sets refer to.
    pub(super) id: u32,
    /// Cropped width in pixels.
    pub(in super::super) width: u32,
    /// Cropped height in pixels.
    pub(in super::super) height: u32,
    /// Whether pictures can be single fields (interlaced).
    pub(in super::super) fields: bool,
    /// Whether the three color planes are coded separately.
    pub(super) separate_planes: bool,
    /// Bits of a frame number.
    pub(super) frame_num_bits: u32,
    /// How the order of pictures is coded.
    pub(super) poc_type: PocType,
}

/// How presentation order is coded (`pic_order_cnt_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PocType {
    /// Type 0: the low bits of the picture order count, this many, in each slice.
    LowBits(u32),
    /// Type 1: a cycle of offsets.
    Cycle,
    /// Type 2: presentation order is decoding order.
    DecodingOrder,
}

impl Sps {
    /// Reads a sequence parameter set (the unit with its first byte); `None` when it is short or out of range.
    pub(in super::super) fn parse(unit: &[u8]) -> Option<Sps> {
        let data = unescape(unit.get(1..)?);
        let mut bits = BitReader::new(&data);
        let profile = bits.read(8)?;
        bits.read(16)?;
        let id = bits.ue()?;
        let (mut chroma, mut separate_planes) = (1, false);
        if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            (chroma, separate_planes) = high_profile_fields(&mut bits)?;
        }
        let frame_num_bits = bits.ue().filter(|&n| n <= 12)? + 4;
        let poc_type = poc_type(&mut bits)?;
        bits.ue()?;
        bits.read(1)?;
        let columns = bits.ue().filter(|&n| n < 1 << 16)? + 1;
        let rows = bits.ue().filter(|&n| n < 1 << 16)? + 1;
        let frames_only = bits.read(1)?;
        if frames_only == 0 {
            bits.read(1)?;
        }
        bits.read(1)?;
        let mut crop = [0; 4];
        if bits.read(1)? == 1 {
            for side in &mut crop {
                *side = bits.ue().filter(|&n| n < 1 << 16)?;
            }
        }
        let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
        let unit_y = if chroma == 1 { 2 } else { 1 } * (2 - frames_only);
        let width = (columns * 16).checked_sub(unit_x * (crop[0] + crop[1]))?;
        let height = (rows * 16 * (2 - frames_only)).checked_sub(unit_y * (crop[2] + crop[3]))?;
        Some(Sps { id, width, height, fields: frames_only == 0, separate_planes, frame_num_bits, poc_type })
    }
}

/// Chroma format and whether planes are separate, from the fields that only high profiles have.
fn high_profile_fields(bits: &mut BitReader<'_>) -> Option<(u32, bool)> {
    let chroma = bits.ue()?;
    let separate_planes = chroma == 3 && bits.read(1)? == 1;
    bits.ue()?;
    bits.ue()?;
    bits.read(1)?;
    if bits.read(1)? == 1 {
        for i in 0..if chroma == 3 { 12 } else { 8 } {
            if bits.read(1)? == 1 {
                bits.skip_scaling_list(if i < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some((chroma, separate_planes))
}

fn poc_type(bits: &mut BitReader<'_>) -> Option<PocType> {
    Some(match bits.ue()? {
        0 => PocType::LowBits(bits.ue().filter(|&n| n <= 12)? + 4),
        1 => {
            bits.read(1)?;
            bits.ue()?;
            bits.ue()?;
            for _ in 0..bits.ue().filter(|&n| n < 256)? {
                bits.ue()?;
            }
            PocType::Cycle
        }
        _ => PocType::DecodingOrder,
    })
}
