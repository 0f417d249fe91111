//! H.264 through `rusty_h264-decoder`: progressive 8-bit 4:2:0. The fast decoder, tried first.

use rusty_h264_decoder::{DecodeError, Decoder};

use super::super::decoder::{DecodedFrame, VideoDecoder, tells_damage};
use super::super::non_reference::needed_h264;
use super::sps::{check_size, is_sps};
use super::sps_syntax::SpsSyntax;
use crate::color::yuv::{Plane, YuvImage};
use crate::container::nal::parameter_sets::ParameterSets;
use crate::error::{MediaError, malformed, unsupported};
use crate::options::limits::Limits;

/// The first decoder for H.264.
pub(in super::super) struct RustyH264 {
    decoder: Decoder,
    length_size: usize,
    limits: Limits,
    annex_b: Vec<u8>,
    /// Sequence parameter sets that crop on the left or at the top, which the decoder does not do. One per id.
    cropped: Vec<SpsSyntax>,
}

impl RustyH264 {
    /// Feeds the parameter sets after checking their sizes.
    pub(in super::super) fn new(parameters: &ParameterSets, limits: &Limits) -> Result<Self, MediaError> {
        let (decoder, length_size) = (Decoder::new(), parameters.length_size);
        let mut new =
            RustyH264 { decoder, length_size, limits: limits.clone(), annex_b: Vec::new(), cropped: Vec::new() };
        let sets: Vec<&[u8]> = parameters.sets.iter().map(Vec::as_slice).collect();
        new.feed(&sets)?;
        Ok(new)
    }

    fn feed(&mut self, units: &[&[u8]]) -> Result<Option<YuvImage>, MediaError> {
        self.annex_b.clear();
        for unit in units {
            check_size(unit, &self.limits)?;
            self.note_crop(unit);
            self.annex_b.extend_from_slice(&[0, 0, 1]);
            self.annex_b.extend_from_slice(unit);
        }
        let frame = self.decoder.decode(&self.annex_b).map_err(explain)?;
        let Some(f) = frame else { return Ok(None) };
        let mut yuv = YuvImage {
            width: f.width,
            height: f.height,
            bit_depth: 8,
            half_width_chroma: true,
            half_height_chroma: true,
            interlaced: false,
            left_sited_chroma: true,
            planes: [f.y, f.u, f.v].map(Plane::U8),
        };
        if let Some(sps) = self.cropped.iter().rev().find(|sps| sps.size_to_end == [yuv.width, yuv.height]) {
            yuv.check().map_err(|what| malformed("H.264 picture", what))?;
            yuv.drop_start(sps.crop_start);
        }
        Ok(Some(yuv))
    }

    /// Keeps the crop of a sequence parameter set, in place of an older one of the same id. Other units pass.
    fn note_crop(&mut self, unit: &[u8]) {
        let Some(sps) = is_sps(unit).then(|| SpsSyntax::from_sps(unit)).flatten() else { return };
        self.cropped.retain(|old| old.id != sps.id);
        if sps.crop_start != [0, 0] {
            self.cropped.push(sps);
        }
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
        let Some(units) = needed_h264(data, self.length_size, requested) else { return Ok(()) };
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
        DecodeError::Unsupported(what) if tells_damage(what) => malformed("H.264 stream", what),
        DecodeError::Unsupported(what) => unsupported(format!("H.264 coding tool ({what})")),
        error => malformed("H.264 stream", error.to_string()),
    }
}
