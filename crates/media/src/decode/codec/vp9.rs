//! VP9 through `rusty_vp9`. Every sample is decoded: hidden frames update what later ones refer to.

use rusty_vp9::{BitReader, DecodedFrame as Vp9Frame, Error, Vp9Decoder, parse_uncompressed_header};

use super::decoder::{BitstreamInfo, DecodedFrame, VideoDecoder};
use crate::color::description::Color;
use crate::color::yuv::{Plane, YuvImage};
use crate::error::{MediaError, malformed, unsupported};
use crate::options::limits::Limits;

/// The decoder for VP9.
pub(super) struct RustyVp9 {
    decoder: Vp9Decoder,
    limits: Limits,
}

impl RustyVp9 {
    /// A fresh decoder; the stream configures it.
    pub(super) fn new(limits: &Limits) -> Self {
        RustyVp9 { decoder: Vp9Decoder::new(), limits: limits.clone() }
    }
}

impl VideoDecoder for RustyVp9 {
    fn push(
        &mut self,
        sample: usize,
        data: &[u8],
        _requested: bool,
        out: &mut Vec<DecodedFrame>,
    ) -> Result<(), MediaError> {
        for frame in coded_frames(data) {
            // Sizes taken over from reference frames read as zero; those references passed this check themselves.
            let header = parse_uncompressed_header(&mut BitReader::new(frame), &[(0, 0); 8]);
            if let Ok(header) = header {
                self.limits.check_pixels(header.width.into(), header.height.into())?;
            }
        }
        self.decoder.push(data, Some(sample as i64)).map_err(explain)?;
        let mut result = Ok(());
        // One call per coded frame of the sample; hidden ones answer "again", and so does the empty queue.
        for _ in 0..=coded_frames(data).len() {
            match self.decoder.next_frame() {
                Ok(frame) => {
                    let sample = frame.pts.map_or(sample, |s| s as usize);
                    out.push(DecodedFrame { sample, yuv: yuv_image(frame)?, color: None });
                }
                Err(Error::Again | Error::Eof) => {}
                Err(error) => result = result.and(Err(explain(error))),
            }
        }
        result
    }

    fn finish(&mut self, _out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        Ok(())
    }
}

fn yuv_image(frame: Vp9Frame) -> Result<YuvImage, MediaError> {
    let bit_depth = frame.bit_depth.clamp(8, 16) as u8;
    let mut planes = frame.planes.into_iter().map(|plane| Plane::from_le_bytes(plane, bit_depth));
    let (Some(y), Some(u), Some(v)) = (planes.next(), planes.next(), planes.next()) else {
        return Err(malformed("VP9 picture", "it has fewer than three planes"));
    };
    let yuv = YuvImage {
        width: frame.width as usize,
        height: frame.height as usize,
        bit_depth,
        half_width_chroma: frame.subsampling_x == 1,
        half_height_chroma: frame.subsampling_y == 1,
        interlaced: false,
        left_sited_chroma: false,
        planes: [y, u, v],
    };
    yuv.check().map_err(|what| malformed("VP9 picture", what))?;
    Ok(yuv)
}

/// The coded frames of a sample. A superframe holds several; its index is at the end.
fn coded_frames(data: &[u8]) -> Vec<&[u8]> {
    let whole = vec![data];
    let Some(&marker) = data.last() else { return Vec::new() };
    let (count, width) = (usize::from(marker & 7) + 1, usize::from((marker >> 3) & 3) + 1);
    let index = 2 + count * width;
    if marker & 0xe0 != 0xc0 || data.len() < index || data[data.len() - index] != marker {
        return whole;
    }
    let (mut body, sizes) = data.split_at(data.len() - index);
    let mut out = Vec::with_capacity(count);
    for size in sizes[1..sizes.len() - 1].chunks_exact(width) {
        let size = size.iter().rev().fold(0usize, |n, &b| (n << 8) | usize::from(b));
        let Some((frame, rest)) = body.split_at_checked(size) else { break };
        out.push(frame);
        body = rest;
    }
    if out.is_empty() { whole } else { out }
}

/// Width and height of a keyframe; `None` for other frames.
pub(super) fn size(sample: &[u8]) -> Option<(u32, u32)> {
    let frame = coded_frames(sample).into_iter().next()?;
    let header = parse_uncompressed_header(&mut BitReader::new(frame), &[(0, 0); 8]).ok()?;
    header.key_frame.then_some((header.width, header.height))
}

/// Profile and color from the header of the first keyframe.
pub(super) fn bitstream_info(keyframe: &[u8]) -> BitstreamInfo {
    let frame = coded_frames(keyframe).into_iter().next().unwrap_or_default();
    let Ok(header) = parse_uncompressed_header(&mut BitReader::new(frame), &[(0, 0); 8]) else {
        return BitstreamInfo::default();
    };
    if !header.key_frame {
        return BitstreamInfo::default();
    }
    // color_space and color_range follow the frame marker (2 bits), profile (2, one more for 3), show_existing (1),
    // frame type (1), show (1), error resilience (1), the sync code (24) and the depth bit of profiles 2 and 3.
    let start = 8 + 24 + usize::from(header.profile == 3) + usize::from(header.profile >= 2);
    let bit = |at: usize| frame.get(at / 8).map(|b| (b >> (7 - at % 8)) & 1);
    let matrix = [None, Some(5), Some(1), Some(6), Some(7), Some(9), None, Some(0)][header.color_space as usize & 7];
    // RGB has full range and no bit for it.
    let full_range = if matrix == Some(0) { Some(true) } else { bit(start + 3).map(|b| b == 1) };
    let color = Color { matrix, full_range, ..Color::default() };
    BitstreamInfo { profile: format!("Profile {}", header.profile), color, ..BitstreamInfo::default() }
}

fn explain(error: Error) -> MediaError {
    match error {
        Error::Unsupported(what) => unsupported(format!("VP9 coding tool ({what})")),
        Error::Unimplemented(what) => unsupported(format!("VP9 coding tool ({what})")),
        error => malformed("VP9 stream", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Joins `(value, bits)` from the top of each byte, followed by zeros.
    fn header(fields: &[(u32, u32)]) -> Vec<u8> {
        let bits = fields.iter().flat_map(|&(value, count)| (0..count).rev().map(move |bit| value >> bit & 1 == 1));
        let mut bytes = vec![0u8; 64];
        bits.enumerate().filter(|(_, bit)| *bit).for_each(|(at, _)| bytes[at / 8] |= 0x80 >> (at % 8));
        bytes
    }

    #[test]
    fn planes_of_rgb_have_full_range() {
        // Frame marker, profile 1, key frame that is shown, sync code, color space 7 (RGB) and its reserved bit, size.
        let rgb = [(2, 2), (2, 2), (0, 1), (0, 1), (1, 1), (0, 1), (0x49_8342, 24), (7, 3), (0, 1), (63, 16), (47, 16)];
        let info = bitstream_info(&header(&rgb));
        assert_eq!((info.color.matrix, info.color.full_range), (Some(0), Some(true)));
        assert_eq!(size(&header(&rgb)), Some((64, 48)));
        // Color space 2 (BT.709) with limited range and its two bits of subsampling.
        let mut luma = rgb.to_vec();
        luma.splice(7..9, [(2, 3), (0, 1), (0, 2), (0, 1)]);
        let info = bitstream_info(&header(&luma));
        assert_eq!((info.color.matrix, info.color.full_range), (Some(1), Some(false)));
    }
}
