//! H.264 through `rust_h264`: also interlaced, 10-bit and 4:2:2, and it goes on after damage.

use std::borrow::Cow;

use rust_h264::decoder::{ChromaFormat, Decoder, Frame};
use rust_h264::error::DecodeError;
use rust_h264::nal::{NalUnit, NalUnitType, SpsInfo, parse_sps_info};

use super::fields::Fields;
use super::nal::{Parameters, avc_droppable, malformed, unescape, units};
use super::{Decode, Description, Picture, check_pixels, unsupported};
use crate::error::MediaError;
use crate::limits::Limits;
use crate::track::Colour;
use crate::yuv::{Samples, Yuv};

/// The second choice for H.264.
pub(super) struct Second {
    decoder: Decoder,
    prefix: usize,
    limits: Limits,
    /// Sample of the picture the decoder holds, which it gives out when the next one starts.
    held: Option<usize>,
    fields: Fields,
    /// Whether the held picture is of two fields.
    interlaced: bool,
}

impl Second {
    /// Feeds the parameter sets after checking their sizes.
    pub(super) fn new(parameters: &Parameters, limits: &Limits) -> Result<Self, MediaError> {
        let mut second = Second {
            decoder: Decoder::new(),
            prefix: parameters.prefix,
            limits: limits.clone(),
            held: None,
            fields: Fields::default(),
            interlaced: false,
        };
        for set in &parameters.sets {
            check_unit(set, limits)?;
            second.learn(set);
            second.decoder.decode_nal(&parse(set)).map_err(explain)?;
        }
        Ok(second)
    }

    fn learn(&mut self, unit: &[u8]) {
        if unit.first().is_some_and(|b| b & 0x1f == 7) {
            self.fields = Fields::of_sps(unit).unwrap_or(self.fields);
        }
    }

    fn unit(&mut self, sample: usize, unit: &[u8], out: &mut Vec<Picture>) -> Result<(), MediaError> {
        check_unit(unit, &self.limits)?;
        self.learn(unit);
        let parsed = parse(unit);
        let slice = matches!(parsed.nal_unit_type, NalUnitType::Slice | NalUnitType::SliceIdr);
        let result = self.decoder.decode_nal(&parsed);
        if let Ok(Some(frame)) = &result
            && let Some(held) = self.held
        {
            out.push(Picture { sample: held, yuv: planes(frame, self.interlaced)?, colour: None });
        }
        if slice {
            self.held = Some(sample);
            self.interlaced = self.fields.interlaced(unit);
        }
        result.map(|_| ()).map_err(explain)
    }
}

impl Decode for Second {
    fn push(&mut self, sample: usize, data: &[u8], wanted: bool, out: &mut Vec<Picture>) -> Result<(), MediaError> {
        let units = units(data, self.prefix);
        if !wanted && avc_droppable(&units) {
            return Ok(());
        }
        let mut first_error = Ok(());
        for unit in units {
            let result = self.unit(sample, unit, out);
            if matches!(result, Err(MediaError::Limit { .. } | MediaError::Unsupported { .. })) {
                return result;
            }
            first_error = first_error.and(result);
        }
        first_error
    }

    fn finish(&mut self, out: &mut Vec<Picture>) -> Result<(), MediaError> {
        if let (Some(frame), Some(held)) = (self.decoder.flush(), self.held.take()) {
            out.push(Picture { sample: held, yuv: planes(&frame, self.interlaced)?, colour: None });
        }
        Ok(())
    }
}

fn planes(frame: &Frame, interlaced: bool) -> Result<Yuv, MediaError> {
    let take = |plane: &[u8]| Samples::from_le_bytes(plane.to_vec(), frame.bit_depth);
    let yuv = Yuv {
        width: frame.width as usize,
        height: frame.height as usize,
        depth: frame.bit_depth,
        half_columns: true,
        half_rows: frame.chroma_format == ChromaFormat::Yuv420,
        interlaced,
        left: true,
        planes: [take(&frame.y), take(&frame.u), take(&frame.v)],
    };
    yuv.check().map_err(|what| malformed("H.264 picture", what))?;
    Ok(yuv)
}

fn parse(unit: &[u8]) -> NalUnit<'static> {
    NalUnit {
        nal_ref_idc: (unit[0] >> 5) & 3,
        nal_unit_type: NalUnitType::from(unit[0] & 0x1f),
        rbsp: Cow::Owned(unescape(&unit[1..])),
    }
}

fn explain(error: DecodeError) -> MediaError {
    match error {
        DecodeError::Unsupported(what) => unsupported(format!("H.264 coding tool ({what})")),
        error => malformed("H.264 stream", error.to_string()),
    }
}

/// Checks the picture size of a sequence parameter set before any decoder sees it; other units pass.
pub(super) fn check_unit(unit: &[u8], limits: &Limits) -> Result<(), MediaError> {
    if unit.first().is_none_or(|b| b & 0x1f != 7) {
        return Ok(());
    }
    match parse_sps_info(&parse(unit)) {
        Ok(sps) => check_pixels(sps.coded_width.into(), sps.coded_height.into(), limits),
        Err(error) => Err(explain(error)),
    }
}

/// Profile and colour from the first sequence parameter set of the configuration or of the first sample.
pub(super) fn describe(parameters: &Parameters, key: &[u8]) -> Description {
    let in_band = units(key, parameters.prefix);
    let all = in_band.into_iter().chain(parameters.sets.iter().map(Vec::as_slice));
    let is_sps = |u: &&[u8]| u.first().is_some_and(|b| b & 0x1f == 7);
    let Some(unit) = all.into_iter().find(is_sps) else { return Description::default() };
    let constraints = unit.get(2).copied().unwrap_or(0);
    match parse_sps_info(&parse(unit)) {
        Ok(sps) => Description { profile: profile(&sps, constraints), colour: colour(&sps) },
        Err(_) => Description::default(),
    }
}

fn colour(sps: &SpsInfo) -> Colour {
    let said = |code: u8| (code != 2 && code != 0).then_some(code);
    Colour {
        matrix: said(sps.matrix),
        full_range: sps.full_range.then_some(true),
        primaries: said(sps.primaries),
        transfer: said(sps.transfer),
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
