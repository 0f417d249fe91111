//! The HEVC sequence parameter set: frame size, profile and color description. Also the RASL test of a sample.

use rusty_h265::ps::{Sps, parse_sps};

use super::super::decoder::BitstreamInfo;
use super::super::nal::{unescape, units};
use super::super::parameter_sets::ParameterSets;
use crate::color::description::Color;
use crate::error::MediaError;
use crate::limits::Limits;

/// The unit as a sequence parameter set; `None` when it is another type of unit.
fn sps_of(unit: &[u8]) -> Option<rusty_h265::Result<Sps>> {
    (unit.len() > 2 && (unit[0] >> 1) & 0x3f == 33).then(|| parse_sps(&unescape(&unit[2..])))
}

/// Checks the frame size of a sequence parameter set before any decoder sees it. Other units pass.
pub(super) fn check_size(unit: &[u8], limits: &Limits) -> Result<(), MediaError> {
    match sps_of(unit) {
        Some(Ok(sps)) => limits.check_pixels(sps.width.into(), sps.height.into()),
        _ => Ok(()),
    }
}

/// Whether a sample is a random access skipped leading (RASL) picture.
pub(in super::super) fn is_rasl(data: &[u8], length_size: usize) -> bool {
    let units = units(data, length_size);
    let mut slices = units.iter().map(|u| (u[0] >> 1) & 0x3f).filter(|&unit_type| unit_type < 32).peekable();
    slices.peek().is_some() && slices.all(|unit_type| matches!(unit_type, 8 | 9))
}

/// Profile and color from the first sequence parameter set of the first keyframe or of the configuration.
pub(in super::super) fn bitstream_info(parameters: &ParameterSets, keyframe: &[u8]) -> BitstreamInfo {
    let in_band = units(keyframe, parameters.length_size);
    let mut all = in_band.into_iter().chain(parameters.sets.iter().map(Vec::as_slice));
    let Some(Ok(sps)) = all.find_map(sps_of) else { return BitstreamInfo::default() };
    let subsampling = ["4:0:0", "4:2:0", "4:2:2", "4:4:4"][usize::from(sps.chroma_format_idc.min(3))];
    let profile = match (sps.chroma_format_idc, sps.bit_depth_luma) {
        (1, 8) => "Main".into(),
        (1, 10) => "Main 10".into(),
        (_, depth) => format!("{subsampling}, {depth} bits"),
    };
    let Some(vui) = &sps.vui else { return BitstreamInfo { profile, color: Color::default() } };
    // Code 2 means unspecified. Code 0 means RGB, which no decoder here gives.
    let specified = |code: u8| (code != 2 && code != 0).then_some(code);
    let color = Color {
        matrix: specified(vui.matrix_coeffs),
        full_range: vui.video_full_range_flag.then_some(true),
        ..Color::default()
    };
    BitstreamInfo { profile, color }
}
