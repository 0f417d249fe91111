//! HEVC through `rusty_h265`: Main and Main 10. The fast decoder, tried first.

use rusty_h265::{Decoder, Error, Frame};

use super::super::decoder::{DecodedFrame, VideoDecoder};
use super::super::non_reference::needed_hevc;
use super::sps::check_size;
use crate::color::yuv::{Plane, YuvImage};
use crate::container::nal::parameter_sets::ParameterSets;
use crate::error::{MediaError, malformed, unsupported};
use crate::options::limits::Limits;

/// The first decoder for HEVC. Frames come in output order, each with the sample given at its access unit.
pub(in super::super) struct RustyH265 {
    decoder: Decoder,
    length_size: usize,
    temporal_layers: u8,
    limits: Limits,
}

impl RustyH265 {
    /// Feeds the parameter sets after checking their sizes.
    pub(in super::super) fn new(parameters: &ParameterSets, limits: &Limits) -> Result<Self, MediaError> {
        let mut decoder = Decoder::new();
        for set in &parameters.sets {
            check_size(set, limits)?;
            decoder.push_nal(set, None).map_err(explain)?;
        }
        let ParameterSets { length_size, temporal_layers, .. } = *parameters;
        Ok(RustyH265 { decoder, length_size, temporal_layers, limits: limits.clone() })
    }

    /// Takes the frames that are ready.
    fn take_frames(&mut self, out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        while let Ok(frame) = self.decoder.next_frame() {
            if let Some(sample) = frame.pts {
                out.push(DecodedFrame { sample: sample as usize, yuv: yuv_image(&frame)?, color: None });
            }
        }
        Ok(())
    }
}

impl VideoDecoder for RustyH265 {
    fn push(
        &mut self,
        sample: usize,
        data: &[u8],
        requested: bool,
        out: &mut Vec<DecodedFrame>,
    ) -> Result<(), MediaError> {
        let needed = needed_hevc(data, self.length_size, self.temporal_layers, requested);
        let Some(units) = needed else { return Ok(()) };
        let mut first_error = Ok(());
        for unit in units {
            check_size(unit, &self.limits)?;
            let result = self.decoder.push_nal(unit, Some(sample as i64)).map_err(explain);
            first_error = first_error.and(result);
        }
        self.take_frames(out)?;
        first_error
    }

    fn finish(&mut self, out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        self.decoder.flush();
        self.take_frames(out)
    }
}

fn yuv_image(frame: &Frame) -> Result<YuvImage, MediaError> {
    let picture = &frame.picture;
    let mono = picture.chroma_format_idc == 0;
    let mut bytes = Vec::new();
    frame.write_yuv(&mut bytes);
    let wide = picture.bit_depth_luma > 8 || picture.bit_depth_chroma > 8;
    let bit_depth = if wide { picture.bit_depth_luma.max(picture.bit_depth_chroma) } else { 8 };
    let empty = || Plane::from_le_bytes(Vec::new(), bit_depth);
    let mut yuv = YuvImage {
        width: frame.width,
        height: frame.height,
        bit_depth,
        half_width_chroma: matches!(picture.chroma_format_idc, 1 | 2),
        half_height_chroma: picture.chroma_format_idc == 1,
        interlaced: false,
        left_sited_chroma: true,
        planes: [empty(), empty(), empty()],
    };
    let value_bytes = if wide { 2 } else { 1 };
    let chroma = if mono { 0 } else { yuv.chroma_width() * yuv.chroma_height() * value_bytes };
    let luma = yuv.width * yuv.height * value_bytes;
    if bytes.len() != luma + 2 * chroma {
        return Err(malformed("HEVC picture", format!("{} bytes, not {}", bytes.len(), luma + 2 * chroma)));
    }
    let v = bytes.split_off(luma + chroma);
    let u = bytes.split_off(luma);
    yuv.planes = [bytes, u, v].map(|plane| Plane::from_le_bytes(plane, bit_depth));
    Ok(yuv)
}

fn explain(error: Error) -> MediaError {
    match error {
        Error::Unsupported(what) => unsupported(format!("HEVC coding tool ({what})")),
        Error::Unimplemented(what) => unsupported(format!("HEVC coding tool ({what})")),
        error => malformed("HEVC stream", error.to_string()),
    }
}
