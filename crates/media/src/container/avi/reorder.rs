//! B-frame reordering: presentation times of streams whose frames are shown in another order than stored.
//!
//! AVI has no presentation times, so the order is read from the frames' own headers. The r-th frame shown takes the
//! slot `delay` places after the r-th stored one. The delay is the one that FFmpeg reports (measured with PyAV 18.1): 1
//! for H.264 whether or not it is reordered, for MPEG-4 part 2 the least that shows no frame before it is decoded.

use super::super::byte_source::{ByteSource, PeekReader};
use super::super::nal::poc::PictureOrder;
use super::super::nal::sps::Sps;
use super::super::nal::start_code;
use super::super::nal::unit_type::{self, UnitType};
use super::super::track::{Codec, Sample};
use crate::error::MediaError;

/// Bytes of an H.264 frame that are searched for its slice header.
const H264_HEAD: usize = 4096;
/// Bytes of an MPEG-4 frame that are searched for its header.
const MPEG4_HEAD: usize = 512;

/// Sets `pts` of reordered streams; false when the order could not be told. `tick` is the duration of a frame.
pub(super) fn apply(source: &ByteSource, codec: &Codec, samples: &mut [Sample], tick: i64) -> Result<bool, MediaError> {
    let order = match codec {
        Codec::H264 => h264(source, samples)?,
        Codec::Mpeg4 => mpeg4(source, samples)?,
        _ => return Ok(true),
    };
    let mut shown: Vec<usize> = (0..samples.len()).collect();
    match order {
        DisplayOrder::AsStored => {}
        DisplayOrder::Unknown => return Ok(false),
        DisplayOrder::Keys(keys) => shown.sort_by_key(|&i| (keys[i], i)),
    }
    let delay = match codec {
        Codec::H264 => 1,
        _ => shown.iter().enumerate().map(|(rank, &i)| i.saturating_sub(rank)).max().unwrap_or(0),
    };
    let slots: Vec<i64> = samples.iter().map(|s| s.dts).collect();
    let last = slots.last().copied().unwrap_or(0);
    for (rank, &i) in shown.iter().enumerate() {
        let at = rank + delay;
        samples[i].pts = slots.get(at).copied().unwrap_or_else(|| last + (at + 1 - slots.len()) as i64 * tick);
    }
    Ok(true)
}

/// In which order frames are shown.
enum DisplayOrder {
    AsStored,
    /// One sort key per sample.
    Keys(Vec<(i64, i64)>),
    Unknown,
}

/// The order by the picture order count of H.264.
fn h264(source: &ByteSource, samples: &[Sample]) -> Result<DisplayOrder, MediaError> {
    let mut reader = PeekReader::new(source, H264_HEAD);
    let mut sps: Option<Sps> = None;
    let mut order = PictureOrder::default();
    let mut out = Vec::with_capacity(samples.len());
    for sample in samples {
        let head = reader.peek(sample.offset, H264_HEAD.min(sample.size as usize))?;
        let mut key = None;
        for (_, first) in start_code::units(head) {
            match (unit_type::h264(&head[first..]), &sps) {
                (UnitType::Sps, _) => sps = Sps::parse(&head[first..]).or(sps),
                (UnitType::Slice { .. }, Some(s)) if s.is_decoding_order() => return Ok(DisplayOrder::AsStored),
                (UnitType::Slice { .. }, Some(s)) => {
                    key = order.next(&head[first..], s);
                    break;
                }
                _ => {}
            }
        }
        match key {
            Some(key) => out.push(key),
            None => return Ok(DisplayOrder::Unknown),
        }
    }
    Ok(DisplayOrder::Keys(out))
}

/// The order of MPEG-4 part 2: a B-frame is shown before the reference frame that is stored before it.
fn mpeg4(source: &ByteSource, samples: &[Sample]) -> Result<DisplayOrder, MediaError> {
    let mut reader = PeekReader::new(source, MPEG4_HEAD);
    let mut out: Vec<(i64, i64)> = Vec::with_capacity(samples.len());
    let mut anchors = 0;
    let mut any = false;
    for sample in samples {
        let head = reader.peek(sample.offset, MPEG4_HEAD.min(sample.size as usize))?;
        let coding_type = head.windows(5).find(|w| w[..4] == [0, 0, 1, 0xb6]).map(|w| w[4] >> 6);
        if coding_type == Some(2) {
            any = true;
            out.push((anchors - 1, 0));
        } else {
            anchors += 1;
            out.push((anchors - 1, 1));
        }
    }
    Ok(if any { DisplayOrder::Keys(out) } else { DisplayOrder::AsStored })
}
