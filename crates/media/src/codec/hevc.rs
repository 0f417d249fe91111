//! HEVC through `rusty_h265`: Main and Main 10, the fast one.

use rusty_h265::ps::{Sps, parse_sps};
use rusty_h265::{Decoder, Error, Frame};

use super::nal::{Parameters, hevc_droppable, malformed, unescape, units};
use super::{Decode, Description, Picture, check_pixels, unsupported};
use crate::error::MediaError;
use crate::limits::Limits;
use crate::track::Colour;
use crate::yuv::{Samples, Yuv};

/// The first choice for HEVC. Pictures come in output order, each with the sample given at its access unit.
pub(super) struct First {
    decoder: Decoder,
    prefix: usize,
    layers: u8,
    limits: Limits,
}

impl First {
    /// Feeds the parameter sets after checking their sizes.
    pub(super) fn new(parameters: &Parameters, limits: &Limits) -> Result<Self, MediaError> {
        let mut decoder = Decoder::new();
        for set in &parameters.sets {
            check_unit(set, limits)?;
            decoder.push_nal(set, None).map_err(explain)?;
        }
        Ok(First { decoder, prefix: parameters.prefix, layers: parameters.layers, limits: limits.clone() })
    }

    fn take(&mut self, out: &mut Vec<Picture>) -> Result<(), MediaError> {
        while let Ok(frame) = self.decoder.next_frame() {
            if let Some(sample) = frame.pts {
                out.push(Picture { sample: sample as usize, yuv: planes(&frame)?, colour: None });
            }
        }
        Ok(())
    }
}

impl Decode for First {
    fn push(&mut self, sample: usize, data: &[u8], wanted: bool, out: &mut Vec<Picture>) -> Result<(), MediaError> {
        let units = units(data, self.prefix);
        if !wanted && hevc_droppable(&units, self.layers) {
            return Ok(());
        }
        let mut first_error = Ok(());
        for unit in units {
            check_unit(unit, &self.limits)?;
            let result = self.decoder.push_nal(unit, Some(sample as i64)).map_err(explain);
            first_error = first_error.and(result);
        }
        self.take(out)?;
        first_error
    }

    fn finish(&mut self, out: &mut Vec<Picture>) -> Result<(), MediaError> {
        self.decoder.flush();
        self.take(out)
    }
}

fn planes(frame: &Frame) -> Result<Yuv, MediaError> {
    let picture = &frame.picture;
    let mono = picture.chroma_format_idc == 0;
    let mut bytes = Vec::new();
    frame.write_yuv(&mut bytes);
    let wide = picture.bit_depth_luma > 8 || picture.bit_depth_chroma > 8;
    let depth = if wide { picture.bit_depth_luma.max(picture.bit_depth_chroma) } else { 8 };
    let (half_columns, half_rows) = (matches!(picture.chroma_format_idc, 1 | 2), picture.chroma_format_idc == 1);
    let empty = || Samples::from_le_bytes(Vec::new(), depth);
    let planes = [empty(), empty(), empty()];
    let mut yuv = Yuv {
        width: frame.width,
        height: frame.height,
        depth,
        half_columns,
        half_rows,
        interlaced: false,
        left: true,
        planes,
    };
    let unit = if wide { 2 } else { 1 };
    let chroma = if mono { 0 } else { yuv.chroma_width() * yuv.chroma_height() * unit };
    let luma = yuv.width * yuv.height * unit;
    if bytes.len() != luma + 2 * chroma {
        return Err(malformed("HEVC picture", format!("{} bytes, not {}", bytes.len(), luma + 2 * chroma)));
    }
    let red = bytes.split_off(luma + chroma);
    let blue = bytes.split_off(luma);
    yuv.planes = [bytes, blue, red].map(|plane| Samples::from_le_bytes(plane, depth));
    Ok(yuv)
}

fn explain(error: Error) -> MediaError {
    match error {
        Error::Unsupported(what) => unsupported(format!("HEVC coding tool ({what})")),
        Error::Unimplemented(what) => unsupported(format!("HEVC coding tool ({what})")),
        error => malformed("HEVC stream", error.to_string()),
    }
}

fn sps_of(unit: &[u8]) -> Option<rusty_h265::Result<Sps>> {
    (unit.len() > 2 && (unit[0] >> 1) & 0x3f == 33).then(|| parse_sps(&unescape(&unit[2..])))
}

/// Checks the picture size of a sequence parameter set before any decoder sees it; other units pass.
pub(super) fn check_unit(unit: &[u8], limits: &Limits) -> Result<(), MediaError> {
    match sps_of(unit) {
        Some(Ok(sps)) => check_pixels(sps.width.into(), sps.height.into(), limits),
        _ => Ok(()),
    }
}

/// Whether a sample is a random access skipped leading picture.
pub(super) fn is_rasl(data: &[u8], prefix: usize) -> bool {
    let units = units(data, prefix);
    let mut slices = units.iter().map(|u| (u[0] >> 1) & 0x3f).filter(|&kind| kind < 32).peekable();
    slices.peek().is_some() && slices.all(|kind| matches!(kind, 8 | 9))
}

/// Profile and colour from the first sequence parameter set of the first sample or of the configuration.
pub(super) fn describe(parameters: &Parameters, key: &[u8]) -> Description {
    let in_band = units(key, parameters.prefix);
    let mut all = in_band.into_iter().chain(parameters.sets.iter().map(Vec::as_slice));
    let Some(Ok(sps)) = all.find_map(sps_of) else { return Description::default() };
    let sampling = ["4:0:0", "4:2:0", "4:2:2", "4:4:4"][usize::from(sps.chroma_format_idc.min(3))];
    let profile = match (sps.chroma_format_idc, sps.bit_depth_luma) {
        (1, 8) => "Main".into(),
        (1, 10) => "Main 10".into(),
        (_, depth) => format!("{sampling}, {depth} bits"),
    };
    let Some(vui) = &sps.vui else { return Description { profile, colour: Colour::default() } };
    let said = |code: u8| (code != 2 && code != 0).then_some(code);
    let colour = Colour {
        matrix: said(vui.matrix_coeffs),
        full_range: vui.video_full_range_flag.then_some(true),
        ..Colour::default()
    };
    Description { profile, colour }
}
