//! The HEVC sequence parameter set: frame size, profile and color description. Also the RASL test of a sample.

use rusty_h265::ps::{Sps, Vui, parse_sps};

use super::super::decoder::BitstreamInfo;
use super::super::sei;
use crate::color::description::Color;
use crate::container::nal::parameter_sets::ParameterSets;
use crate::container::nal::units::{unescape, units};
use crate::error::MediaError;
use crate::options::limits::Limits;

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

/// Cropped width and height of pictures under a sequence parameter set; `None` for other units.
pub(in super::super) fn size(unit: &[u8]) -> Option<(u32, u32)> {
    sps_of(unit)?.ok().map(|sps| sps.output_size())
}

/// Whether a sample is a random access skipped leading (RASL) picture.
pub(in super::super) fn is_rasl(data: &[u8], length_size: usize) -> bool {
    let units = units(data, length_size);
    let mut slices = units.iter().map(|u| (u[0] >> 1) & 0x3f).filter(|&unit_type| unit_type < 32).peekable();
    slices.peek().is_some() && slices.all(|unit_type| matches!(unit_type, 8 | 9))
}

/// What the first sequence parameter set of the first keyframe or of the configuration says, and the keyframe's display
/// orientation.
pub(in super::super) fn bitstream_info(parameters: &ParameterSets, keyframe: &[u8]) -> BitstreamInfo {
    let in_band = units(keyframe, parameters.length_size);
    let prefix_sei = |unit: &&[u8]| unit.len() > 2 && unit[0] >> 1 & 0x3f == 39;
    let sei = |unit: &&[u8]| prefix_sei(unit).then(|| sei::display_orientation(&unit[2..])).flatten();
    let orientation = in_band.iter().find_map(sei);
    let mut all = in_band.into_iter().chain(parameters.sets.iter().map(Vec::as_slice));
    let mut info = BitstreamInfo { orientation, ..BitstreamInfo::default() };
    let Some(Ok(sps)) = all.find_map(sps_of) else { return info };
    let subsampling = ["4:0:0", "4:2:0", "4:2:2", "4:4:4"][usize::from(sps.chroma_format_idc.min(3))];
    info.profile = match (sps.chroma_format_idc, sps.bit_depth_luma) {
        (1, 8) => "Main".into(),
        (1, 10) => "Main 10".into(),
        (_, depth) => format!("{subsampling}, {depth} bits"),
    };
    if let Some(vui) = &sps.vui {
        info.color = color(vui, sps.chroma_format_idc == 3);
        // The parser keeps a ratio that is written out, and none of the codes for common ones.
        let aspect = (u32::from(vui.sar_width), u32::from(vui.sar_height));
        info.sample_aspect = (aspect.0 > 0 && aspect.1 > 0).then_some(aspect);
    }
    info
}

fn color(vui: &Vui, full_chroma: bool) -> Color {
    // Code 2 means unspecified. All codes are 0 here where none is stated; primaries that are stated are never 0.
    // Matrix 0 beside stated primaries means planes of RGB, and the range is then stated too.
    let specified = |code: u8| (code != 2 && code != 0).then_some(code);
    let rgb = vui.matrix_coeffs == 0 && vui.colour_primaries != 0 && full_chroma;
    let full = vui.video_full_range_flag;
    Color {
        matrix: if rgb { Some(0) } else { specified(vui.matrix_coeffs) },
        full_range: (full || rgb).then_some(full),
        primaries: specified(vui.colour_primaries),
        transfer: specified(vui.transfer_characteristics),
    }
}
