//! B-frame reordering: presentation times of streams whose frames are shown in another order than stored.
//!
//! AVI has no presentation times, so the order is read from the frames' own headers. The r-th frame shown takes the
//! slot `delay` places after the r-th stored one. The delay is the one that FFmpeg reports (measured with PyAV 18.1): 1
//! for H.264 whether or not it is reordered, for MPEG-4 part 2 and HEVC the least that shows no frame before it is
//! decoded.

use super::super::bitstream::headers::HeaderReader;
use super::super::bitstream::order;
use super::super::byte_source::{ByteSource, PeekReader};
use super::super::track::{Codec, Sample};
use crate::error::MediaError;

/// Bytes of an MPEG-4 frame that are searched for its header.
const MPEG4_HEAD: usize = 512;

/// Sets `pts` of reordered streams; false when the order could not be told. `tick` is the duration of a frame.
pub(super) fn apply(source: &ByteSource, codec: &Codec, samples: &mut [Sample], tick: i64) -> Result<bool, MediaError> {
    let ranks = match codec {
        Codec::H264 | Codec::Hevc => {
            let Some(mut reader) = HeaderReader::new(source, &[], codec, (&[], false)) else { return Ok(true) };
            order::display_ranks(&reader.facts(samples, 0..samples.len())?)
        }
        Codec::Mpeg4 => Some(mpeg4(source, samples)?),
        _ => return Ok(true),
    };
    let Some(ranks) = ranks else { return Ok(false) };
    let delay = match codec {
        Codec::H264 => 1,
        _ => ranks.iter().enumerate().map(|(i, &rank)| i.saturating_sub(rank)).max().unwrap_or(0),
    };
    let slots: Vec<i64> = samples.iter().map(|s| s.dts).collect();
    let last = slots.last().copied().unwrap_or(0);
    for (sample, rank) in samples.iter_mut().zip(ranks) {
        let at = rank + delay;
        sample.pts = slots.get(at).copied().unwrap_or_else(|| last + (at + 1 - slots.len()) as i64 * tick);
    }
    Ok(true)
}

/// The order of MPEG-4 part 2: a B-frame is shown before the reference frame that is stored before it.
fn mpeg4(source: &ByteSource, samples: &[Sample]) -> Result<Vec<usize>, MediaError> {
    let mut reader = PeekReader::new(source, MPEG4_HEAD);
    let mut out: Vec<(i64, i64)> = Vec::with_capacity(samples.len());
    let mut anchors = 0;
    for sample in samples {
        let head = reader.peek(sample.offset, MPEG4_HEAD.min(sample.size as usize))?;
        let coding_type = head.windows(5).find(|w| w[..4] == [0, 0, 1, 0xb6]).map(|w| w[4] >> 6);
        if coding_type == Some(2) {
            out.push((anchors - 1, 0));
        } else {
            anchors += 1;
            out.push((anchors - 1, 1));
        }
    }
    Ok(order::ranks(&out))
}
