//! H.264 through `rust_h264`: also interlaced, 10-bit and 4:2:2, and it goes on after damage. The second decoder.

use rust_h264::decoder::{ChromaFormat, Decoder, Frame};
use rust_h264::nal::NalUnitType;

use super::super::decoder::{DecodedFrame, VideoDecoder, push_units};
use super::super::non_reference::needed_h264;
use super::sps::{check_size, explain, is_sps, parse_unit};
use super::sps_syntax::SpsSyntax;
use crate::color::yuv::{Plane, YuvImage};
use crate::container::nal::parameter_sets::ParameterSets;
use crate::error::{MediaError, malformed};
use crate::options::limits::Limits;

/// The second decoder for H.264.
pub(in super::super) struct RustH264 {
    decoder: Decoder,
    length_size: usize,
    limits: Limits,
    /// Sample of the picture that the decoder holds. It gives the picture out when the next one starts.
    held: Option<usize>,
    syntax: SpsSyntax,
    /// Whether the held picture consists of two fields.
    interlaced: bool,
}

impl RustH264 {
    /// Feeds the parameter sets after checking their sizes.
    pub(in super::super) fn new(parameters: &ParameterSets, limits: &Limits) -> Result<Self, MediaError> {
        let mut new = RustH264 {
            decoder: Decoder::new(),
            length_size: parameters.length_size,
            limits: limits.clone(),
            held: None,
            syntax: SpsSyntax::default(),
            interlaced: false,
        };
        for set in &parameters.sets {
            check_size(set, limits)?;
            new.read_syntax(set);
            new.decoder.decode_nal(&parse_unit(set)).map_err(explain)?;
        }
        Ok(new)
    }

    fn read_syntax(&mut self, unit: &[u8]) {
        if is_sps(unit) {
            self.syntax = SpsSyntax::from_sps(unit).unwrap_or(self.syntax);
        }
    }

    fn push_unit(&mut self, sample: usize, unit: &[u8], out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        check_size(unit, &self.limits)?;
        self.read_syntax(unit);
        let parsed = parse_unit(unit);
        let slice = matches!(parsed.nal_unit_type, NalUnitType::Slice | NalUnitType::SliceIdr);
        let result = self.decoder.decode_nal(&parsed);
        if let Ok(Some(frame)) = &result
            && let Some(held) = self.held
        {
            out.push(DecodedFrame { sample: held, yuv: yuv_image(frame, self.interlaced)?, color: None });
        }
        if slice {
            self.held = Some(sample);
            self.interlaced = self.syntax.is_interlaced(unit);
        }
        result.map(|_| ()).map_err(explain)
    }
}

impl VideoDecoder for RustH264 {
    fn push(
        &mut self,
        sample: usize,
        data: &[u8],
        requested: bool,
        out: &mut Vec<DecodedFrame>,
    ) -> Result<(), MediaError> {
        let Some(units) = needed_h264(data, self.length_size, requested) else { return Ok(()) };
        push_units(units, |unit| self.push_unit(sample, unit, out))?
    }

    fn finish(&mut self, out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        if let (Some(frame), Some(held)) = (self.decoder.flush(), self.held.take()) {
            out.push(DecodedFrame { sample: held, yuv: yuv_image(&frame, self.interlaced)?, color: None });
        }
        Ok(())
    }
}

pub(super) fn yuv_image(frame: &Frame, interlaced: bool) -> Result<YuvImage, MediaError> {
    let plane = |values: &[u8]| Plane::from_le_bytes(values.to_vec(), frame.bit_depth);
    let yuv = YuvImage {
        width: frame.width as usize,
        height: frame.height as usize,
        bit_depth: frame.bit_depth,
        half_width_chroma: true,
        half_height_chroma: frame.chroma_format == ChromaFormat::Yuv420,
        interlaced,
        left_sited_chroma: true,
        planes: [plane(&frame.y), plane(&frame.u), plane(&frame.v)],
    };
    yuv.check().map_err(|what| malformed("H.264 picture", what))?;
    Ok(yuv)
}
