//! H.264 through `rusty_h264-decoder`: progressive 8-bit 4:2:0. The fast decoder, tried first.

use rusty_h264_decoder::{DecodeError, Decoder};

use super::super::decoder::{DecodedFrame, VideoDecoder};
use super::super::nal::units;
use super::super::non_reference;
use super::super::parameter_sets::ParameterSets;
use super::sps::check_size;
use crate::color::yuv::{Plane, YuvImage};
use crate::error::{MediaError, malformed, unsupported};
use crate::limits::Limits;

/// The first decoder for H.264.
pub(in super::super) struct RustyH264 {
    decoder: Decoder,
    length_size: usize,
    limits: Limits,
    annex_b: Vec<u8>,
}

impl RustyH264 {
    /// Feeds the parameter sets after checking their sizes.
    pub(in super::super) fn new(parameters: &ParameterSets, limits: &Limits) -> Result<Self, MediaError> {
        let (decoder, length_size) = (Decoder::new(), parameters.length_size);
        let mut new = RustyH264 { decoder, length_size, limits: limits.clone(), annex_b: Vec::new() };
        let sets: Vec<&[u8]> = parameters.sets.iter().map(Vec::as_slice).collect();
        new.feed(&sets)?;
        Ok(new)
    }

    fn feed(&mut self, units: &[&[u8]]) -> Result<Option<YuvImage>, MediaError> {
        self.annex_b.clear();
        for unit in units {
            check_size(unit, &self.limits)?;
            self.annex_b.extend_from_slice(&[0, 0, 1]);
            self.annex_b.extend_from_slice(unit);
        }
        let frame = self.decoder.decode(&self.annex_b).map_err(explain)?;
        Ok(frame.map(|f| YuvImage {
            width: f.width,
            height: f.height,
            bit_depth: 8,
            half_width_chroma: true,
            half_height_chroma: true,
            interlaced: false,
            left_sited_chroma: true,
            planes: [f.y, f.u, f.v].map(Plane::U8),
        }))
    }
}

impl VideoDecoder for RustyH264 {
    fn push(
        &mut self,
        sample: usize,
        data: &[u8],
        requested: bool,
        out: &mut Vec<DecodedFrame>,
    ) -> Result<(), MediaError> {
        let units = units(data, self.length_size);
        if !requested && non_reference::h264(&units) {
            return Ok(());
        }
        match self.feed(&units)? {
            Some(yuv) => out.push(DecodedFrame { sample, yuv, color: None }),
            // Every access unit holds a whole picture here; this decoder does not hold pictures back.
            None => return Err(malformed("H.264 stream", format!("frame {sample} is incomplete"))),
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        Ok(())
    }
}

fn explain(error: DecodeError) -> MediaError {
    match error {
        DecodeError::Unsupported(what) => unsupported(format!("H.264 coding tool ({what})")),
        error => malformed("H.264 stream", error.to_string()),
    }
}
