//! The H.264 sequence parameter set: frame size, profile and color description.

use std::borrow::Cow;

use rust_h264::error::DecodeError;
use rust_h264::nal::{NalUnit, NalUnitType, SpsInfo, parse_sps_info};

use super::super::decoder::BitstreamInfo;
use super::super::nal::{unescape, units};
use super::super::parameter_sets::ParameterSets;
use crate::color::description::Color;
use crate::error::{MediaError, malformed, unsupported};
use crate::limits::Limits;

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

/// Profile and color from the first sequence parameter set of the first keyframe or of the configuration.
pub(in super::super) fn bitstream_info(parameters: &ParameterSets, keyframe: &[u8]) -> BitstreamInfo {
    let in_band = units(keyframe, parameters.length_size);
    let mut all = in_band.into_iter().chain(parameters.sets.iter().map(Vec::as_slice));
    let Some(unit) = all.find(|unit| is_sps(unit)) else { return BitstreamInfo::default() };
    let constraints = unit.get(2).copied().unwrap_or(0);
    match parse_sps_info(&parse_unit(unit)) {
        Ok(sps) => BitstreamInfo { profile: profile(&sps, constraints), color: color(&sps) },
        Err(_) => BitstreamInfo::default(),
    }
}

fn color(sps: &SpsInfo) -> Color {
    // Code 2 means unspecified. Code 0 is reserved; as a matrix it means RGB, which no decoder here gives.
    let specified = |code: u8| (code != 2 && code != 0).then_some(code);
    Color {
        matrix: specified(sps.matrix),
        full_range: sps.full_range.then_some(true),
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
