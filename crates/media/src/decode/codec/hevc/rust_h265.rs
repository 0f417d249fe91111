//! HEVC through `rust_h265`: also 4:4:4 and 12 bits, and it goes on after damage. The second decoder.

use rust_h265::{DecodeError, DecodeLimits, Decoder, Frame, PixelData, parse_nal};

use super::super::decoder::{DecodedFrame, VideoDecoder, push_units, tells_damage};
use super::super::non_reference::needed_hevc;
use super::sps::check_size;
use crate::color::yuv::{Plane, YuvImage};
use crate::container::nal::parameter_sets::ParameterSets;
use crate::error::{MediaError, malformed, unsupported};
use crate::options::limits::Limits;

/// An access unit delimiter. It makes the decoder give out the frame of the sample just fed.
const DELIMITER: [u8; 3] = [35 << 1, 1, 0x50];

/// The second decoder for HEVC. Frames come in decoding order, so every frame belongs to the sample just fed.
pub(in super::super) struct RustH265 {
    decoder: Decoder,
    length_size: usize,
    temporal_layers: u8,
    limits: Limits,
}

impl RustH265 {
    /// Feeds the parameter sets after checking their sizes.
    pub(in super::super) fn new(parameters: &ParameterSets, limits: &Limits) -> Result<Self, MediaError> {
        let bounds = DecodeLimits { max_picture_pixels: limits.pixels, max_picture_memory_bytes: limits.child_bytes };
        let mut new = RustH265 {
            decoder: Decoder::with_limits(bounds),
            length_size: parameters.length_size,
            temporal_layers: parameters.temporal_layers,
            limits: limits.clone(),
        };
        for set in &parameters.sets {
            new.push_unit(0, set, &mut Vec::new())?;
        }
        Ok(new)
    }

    fn push_unit(&mut self, sample: usize, unit: &[u8], out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        check_size(unit, &self.limits)?;
        let Some(parsed) = parse_nal(unit) else {
            return Err(malformed("HEVC stream", format!("frame {sample} has a broken unit header")));
        };
        if let Some(frame) = self.decoder.decode_nal(&parsed).map_err(explain)? {
            out.push(DecodedFrame { sample, yuv: yuv_image(frame)?, color: None });
        }
        Ok(())
    }
}

impl VideoDecoder for RustH265 {
    fn push(
        &mut self,
        sample: usize,
        data: &[u8],
        requested: bool,
        out: &mut Vec<DecodedFrame>,
    ) -> Result<(), MediaError> {
        let needed = needed_hevc(data, self.length_size, self.temporal_layers, requested);
        let Some(units) = needed else { return Ok(()) };
        let first_error = push_units(units, |unit| self.push_unit(sample, unit, out))?;
        first_error.and(self.push_unit(sample, &DELIMITER, out))
    }

    fn finish(&mut self, _out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        Ok(())
    }
}

pub(super) fn yuv_image(frame: Frame) -> Result<YuvImage, MediaError> {
    let yuv = YuvImage {
        width: frame.width as usize,
        height: frame.height as usize,
        bit_depth: frame.bit_depth,
        half_width_chroma: matches!(frame.chroma_format_idc, 1 | 2),
        half_height_chroma: frame.chroma_format_idc == 1,
        interlaced: false,
        left_sited_chroma: true,
        planes: [frame.y, frame.u, frame.v].map(|plane| match plane {
            PixelData::U8(v) => Plane::U8(v),
            PixelData::U16(v) => Plane::U16(v),
        }),
    };
    yuv.check().map_err(|what| malformed("HEVC picture", what))?;
    Ok(yuv)
}

pub(super) fn explain(error: DecodeError) -> MediaError {
    match error {
        DecodeError::Unsupported(what) if tells_damage(what) => malformed("HEVC stream", what),
        DecodeError::Unsupported(what) => unsupported(format!("HEVC coding tool ({what})")),
        error => malformed("HEVC stream", error.to_string()),
    }
}
