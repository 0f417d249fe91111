//! VP9 through `rusty_vp9`. Nothing is dropped: hidden frames update what later ones refer to.

use rusty_vp9::{BitReader, DecodedFrame, Error, Vp9Decoder, parse_uncompressed_header};

use super::nal::malformed;
use super::{Decode, Description, Picture, check_pixels, unsupported};
use crate::error::MediaError;
use crate::limits::Limits;
use crate::track::Colour;
use crate::yuv::{Samples, Yuv};

/// The decoder for VP9.
pub(super) struct Vp9 {
    decoder: Vp9Decoder,
    limits: Limits,
}

impl Vp9 {
    /// A fresh decoder; the stream configures it.
    pub(super) fn new(limits: &Limits) -> Self {
        Vp9 { decoder: Vp9Decoder::new(), limits: limits.clone() }
    }
}

impl Decode for Vp9 {
    fn push(&mut self, sample: usize, data: &[u8], _wanted: bool, out: &mut Vec<Picture>) -> Result<(), MediaError> {
        for frame in frames(data) {
            // Sizes taken over from reference frames read as zero; those references passed this check themselves.
            let header = parse_uncompressed_header(&mut BitReader::new(frame), &[(0, 0); 8]);
            if let Ok(header) = header {
                check_pixels(header.width.into(), header.height.into(), &self.limits)?;
            }
        }
        self.decoder.push(data, Some(sample as i64)).map_err(explain)?;
        let mut result = Ok(());
        // One call a coded frame of the sample; hidden ones answer "again", and so does the empty queue.
        for _ in 0..=frames(data).len() {
            match self.decoder.next_frame() {
                Ok(frame) => {
                    let sample = frame.pts.map_or(sample, |s| s as usize);
                    out.push(Picture { sample, yuv: planes(frame)?, colour: None });
                }
                Err(Error::Again | Error::Eof) => {}
                Err(error) => result = result.and(Err(explain(error))),
            }
        }
        result
    }

    fn finish(&mut self, _out: &mut Vec<Picture>) -> Result<(), MediaError> {
        Ok(())
    }
}

fn planes(frame: DecodedFrame) -> Result<Yuv, MediaError> {
    let depth = frame.bit_depth.clamp(8, 16) as u8;
    let mut planes = frame.planes.into_iter().map(|plane| Samples::from_le_bytes(plane, depth));
    let (Some(y), Some(u), Some(v)) = (planes.next(), planes.next(), planes.next()) else {
        return Err(malformed("VP9 picture", "it has fewer than three planes"));
    };
    let yuv = Yuv {
        width: frame.width as usize,
        height: frame.height as usize,
        depth,
        half_columns: frame.subsampling_x == 1,
        half_rows: frame.subsampling_y == 1,
        interlaced: false,
        left: false,
        planes: [y, u, v],
    };
    yuv.check().map_err(|what| malformed("VP9 picture", what))?;
    Ok(yuv)
}

/// The coded frames of a sample (a superframe holds several, its index is at the end).
fn frames(data: &[u8]) -> Vec<&[u8]> {
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

/// Profile and colour from the first key frame's header.
pub(super) fn describe(key: &[u8]) -> Description {
    let frame = frames(key).into_iter().next().unwrap_or_default();
    let Ok(header) = parse_uncompressed_header(&mut BitReader::new(frame), &[(0, 0); 8]) else {
        return Description::default();
    };
    if !header.key_frame {
        return Description::default();
    }
    // colour_space and colour_range follow the frame marker (2), profile (2, one more for 3), show_existing (1),
    // frame type (1), show (1), error resilience (1), the sync code (24) and the depth bit of profiles 2 and 3.
    let start = 8 + 24 + usize::from(header.profile == 3) + usize::from(header.profile >= 2);
    let bit = |at: usize| frame.get(at / 8).map(|b| (b >> (7 - at % 8)) & 1);
    let matrix = [None, Some(5), Some(1), Some(6), Some(7), Some(9), None, Some(0)][header.color_space as usize & 7];
    let colour = Colour { matrix, full_range: bit(start + 3).map(|b| b == 1), ..Colour::default() };
    Description { profile: format!("Profile {}", header.profile), colour }
}

fn explain(error: Error) -> MediaError {
    match error {
        Error::Unsupported(what) => unsupported(format!("VP9 coding tool ({what})")),
        Error::Unimplemented(what) => unsupported(format!("VP9 coding tool ({what})")),
        error => malformed("VP9 stream", error.to_string()),
    }
}
