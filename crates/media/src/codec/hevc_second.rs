//! HEVC through `rust_h265`: also 4:4:4 and 12 bits, and it goes on after damage.

use rust_h265::{DecodeError, DecodeLimits, Decoder, Frame, PixelData, parse_nal};

use super::nal::{Parameters, hevc_droppable, malformed, units};
use super::{Decode, Picture, hevc, unsupported};
use crate::error::MediaError;
use crate::limits::Limits;
use crate::yuv::{Samples, Yuv};

/// An access unit delimiter; it makes the decoder give out the picture of the sample just fed.
const DELIMITER: [u8; 3] = [35 << 1, 1, 0x50];

/// The second choice for HEVC, in decoding order, so that every picture belongs to the sample just fed.
pub(super) struct Second {
    decoder: Decoder,
    prefix: usize,
    layers: u8,
    limits: Limits,
}

impl Second {
    /// Feeds the parameter sets after checking their sizes.
    pub(super) fn new(parameters: &Parameters, limits: &Limits) -> Result<Self, MediaError> {
        let bounds = DecodeLimits { max_picture_pixels: limits.pixels, max_picture_memory_bytes: limits.child_bytes };
        let mut second = Second {
            decoder: Decoder::with_limits(bounds),
            prefix: parameters.prefix,
            layers: parameters.layers,
            limits: limits.clone(),
        };
        for set in &parameters.sets {
            second.unit(0, set, &mut Vec::new())?;
        }
        Ok(second)
    }

    fn unit(&mut self, sample: usize, unit: &[u8], out: &mut Vec<Picture>) -> Result<(), MediaError> {
        hevc::check_unit(unit, &self.limits)?;
        let Some(parsed) = parse_nal(unit) else {
            return Err(malformed("HEVC stream", format!("frame {sample} has a broken unit header")));
        };
        if let Some(frame) = self.decoder.decode_nal(&parsed).map_err(explain)? {
            out.push(Picture { sample, yuv: planes(frame)?, colour: None });
        }
        Ok(())
    }
}

impl Decode for Second {
    fn push(&mut self, sample: usize, data: &[u8], wanted: bool, out: &mut Vec<Picture>) -> Result<(), MediaError> {
        let units = units(data, self.prefix);
        if !wanted && hevc_droppable(&units, self.layers) {
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
        first_error.and(self.unit(sample, &DELIMITER, out))
    }

    fn finish(&mut self, _out: &mut Vec<Picture>) -> Result<(), MediaError> {
        Ok(())
    }
}

fn planes(frame: Frame) -> Result<Yuv, MediaError> {
    let (half_columns, half_rows) = (matches!(frame.chroma_format_idc, 1 | 2), frame.chroma_format_idc == 1);
    let yuv = Yuv {
        width: frame.width as usize,
        height: frame.height as usize,
        depth: frame.bit_depth,
        half_columns,
        half_rows,
        interlaced: false,
        left: true,
        planes: [frame.y, frame.u, frame.v].map(|plane| match plane {
            PixelData::U8(v) => Samples::Byte(v),
            PixelData::U16(v) => Samples::Word(v),
        }),
    };
    yuv.check().map_err(|what| malformed("HEVC picture", what))?;
    Ok(yuv)
}

fn explain(error: DecodeError) -> MediaError {
    match error {
        DecodeError::Unsupported(what) => unsupported(format!("HEVC coding tool ({what})")),
        error => malformed("HEVC stream", error.to_string()),
    }
}
