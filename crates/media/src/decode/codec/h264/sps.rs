//! The H.264 sequence parameter set: frame size, profile and color description.

use std::borrow::Cow;

use rust_h264::error::DecodeError;
use rust_h264::nal::{NalUnit, NalUnitType, SpsInfo, parse_sps_info};

use super::super::decoder::BitstreamInfo;
use super::super::sei;
use super::sps_syntax::SpsSyntax;
use crate::color::description::Color;
use crate::container::nal::parameter_sets::ParameterSets;
use crate::container::nal::units::{unescape, units};
use crate::error::{MediaError, malformed, unsupported};
use crate::options::limits::Limits;

/// Whether a unit is a sequence parameter set.
pub(super) fn is_sps(unit: &[u8]) -> bool {
    unit.first().is_some_and(|b| b & 0x1f == 7)
}

/// A unit in the form that `rust_h264` reads.
pub(super) fn parse_unit(unit: &[u8]) -> NalUnit<'static> {
    NalUnit {
        nal_ref_idc: (unit[0] >> 5) & 3,
        nal_unit_type: NalUnitType::from(unit[0] & 0x1f),
        rbsp: Cow::Owned(unescape(&unit[1..])),
    }
}

/// An error of `rust_h264` as ours.
pub(super) fn explain(error: DecodeError) -> MediaError {
    match error {
        DecodeError::Unsupported(what) => unsupported(format!("H.264 coding tool ({what})")),
        error => malformed("H.264 stream", error.to_string()),
    }
}

/// Checks the frame size of a sequence parameter set before any decoder sees it. Other units pass.
pub(super) fn check_size(unit: &[u8], limits: &Limits) -> Result<(), MediaError> {
    if !is_sps(unit) {
        return Ok(());
    }
    match parse_sps_info(&parse_unit(unit)) {
        Ok(sps) => limits.check_pixels(sps.coded_width.into(), sps.coded_height.into()),
        Err(error) => Err(explain(error)),
    }
}

/// Cropped width and height of pictures under a sequence parameter set; `None` for other units.
pub(in super::super) fn size(unit: &[u8]) -> Option<(u32, u32)> {
    let sps = is_sps(unit).then(|| parse_sps_info(&parse_unit(unit)))?.ok()?;
    Some((sps.width, sps.height))
}

/// What the first sequence parameter set of the first keyframe or of the configuration says, and the keyframe's display
/// orientation.
pub(in super::super) fn bitstream_info(parameters: &ParameterSets, keyframe: &[u8]) -> BitstreamInfo {
    let in_band = units(keyframe, parameters.length_size);
    let sei = |unit: &&[u8]| (unit[0] & 0x1f == 6).then(|| sei::display_orientation(&unit[1..])).flatten();
    let orientation = in_band.iter().find_map(sei);
    let mut all = in_band.into_iter().chain(parameters.sets.iter().map(Vec::as_slice));
    let mut info = BitstreamInfo { orientation, ..BitstreamInfo::default() };
    let Some(unit) = all.find(|unit| is_sps(unit)) else { return info };
    if let Ok(sps) = parse_sps_info(&parse_unit(unit)) {
        (info.profile, info.color) = (profile(&sps, unit.get(2).copied().unwrap_or(0)), color(&sps));
        info.sample_aspect = SpsSyntax::from_sps(unit).and_then(|syntax| syntax.sample_aspect);
    }
    info
}

fn color(sps: &SpsInfo) -> Color {
    // Code 2 means unspecified, code 0 is reserved. As a matrix, 0 means planes of RGB; its range is then stated too.
    let specified = |code: u8| (code != 2 && code != 0).then_some(code);
    let rgb = sps.matrix == 0 && sps.chroma_format == 3;
    Color {
        matrix: if rgb { Some(0) } else { specified(sps.matrix) },
        full_range: (sps.full_range || rgb).then_some(sps.full_range),
        primaries: specified(sps.primaries),
        transfer: specified(sps.transfer),
    }
}

fn profile(sps: &SpsInfo, constraints: u8) -> String {
    let name = match sps.profile {
        66 if constraints & 0x40 != 0 => "Constrained Baseline",
        66 => "Baseline",
        77 => "Main",
        88 => "Extended",
        100 => "High",
        110 => "High 10",
        122 => "High 4:2:2",
        244 => "High 4:4:4 Predictive",
        other => return format!("profile {other}"),
    };
    let interlaced = if sps.progressive { "" } else { ", interlaced" };
    let depth = if sps.bit_depth_luma > 8 { format!(", {} bits", sps.bit_depth_luma) } else { String::new() };
    format!("{name}{depth}{interlaced}")
}
