//! Raw video: planes of luma and chroma one after the other. Nothing has to be decoded.

use super::decoder::{DecodedFrame, VideoDecoder};
use crate::color::yuv::{Plane, YuvImage};
use crate::container::track::RawFormat;
use crate::error::{MediaError, malformed};

/// Cuts frames into planes.
pub(super) struct RawVideo {
    format: RawFormat,
    width: u32,
    height: u32,
}

impl RawVideo {
    pub(super) fn new(format: RawFormat, width: u32, height: u32) -> Self {
        RawVideo { format, width, height }
    }
}

impl VideoDecoder for RawVideo {
    fn push(
        &mut self,
        sample: usize,
        data: &[u8],
        requested: bool,
        out: &mut Vec<DecodedFrame>,
    ) -> Result<(), MediaError> {
        if !requested {
            return Ok(());
        }
        let format = self.format;
        let (luma, chroma) = format.plane_bytes(self.width, self.height).unwrap_or_default();
        let mut rest = data;
        let mut plane = |bytes: u64| -> Result<Plane, MediaError> {
            let short = || malformed("raw frame", format!("{} bytes do not hold its planes", data.len()));
            let (plane, after) = rest.split_at_checked(bytes as usize).ok_or_else(short)?;
            rest = after;
            Ok(Plane::from_le_bytes(plane.to_vec(), format.depth))
        };
        let yuv = YuvImage {
            width: self.width as usize,
            height: self.height as usize,
            bit_depth: format.depth,
            half_width_chroma: format.half_width,
            half_height_chroma: format.half_height,
            interlaced: format.interlaced,
            left_sited_chroma: format.left_sited,
            planes: [plane(luma)?, plane(chroma)?, plane(chroma)?],
        };
        yuv.check().map_err(|what| malformed("raw frame", what))?;
        out.push(DecodedFrame { sample, yuv, color: None });
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        Ok(())
    }
}
