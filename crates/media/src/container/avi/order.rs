//! Presentation times of reordered streams. The order is read from the frames' own headers; the r-th frame shown takes
//! the slot `d` places after the r-th stored one, where `d` is what FFmpeg (measured with PyAV 18.1) reports: 1 for
//! H.264 whether or not it is reordered, for MPEG-4 part 2 the least delay that shows no frame before it is decoded.

use super::super::nal::{self, PictureOrder, Sequence, Unit};
use super::super::source::{Source, Window};
use crate::MediaError;
use crate::track::{Codec, Sample};

/// Bytes of a frame looked at.
const HEAD: usize = 4096;

/// Sets `pts` of reordered streams; false when the order could not be told.
pub(super) fn apply(source: &Source, codec: &Codec, samples: &mut [Sample], tick: i64) -> Result<bool, MediaError> {
    let numbers = match codec {
        Codec::H264 => h264(source, samples)?,
        Codec::Mpeg4 => mpeg4(source, samples)?,
        _ => return Ok(true),
    };
    let mut shown: Vec<usize> = (0..samples.len()).collect();
    match numbers {
        Found::Same => {}
        Found::Unknown => return Ok(false),
        Found::Numbers(numbers) => shown.sort_by_key(|&i| (numbers[i], i)),
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

enum Found {
    /// Shown as stored.
    Same,
    /// Rising numbers in presentation order, one a sample.
    Numbers(Vec<(i64, i64)>),
    Unknown,
}

fn h264(source: &Source, samples: &[Sample]) -> Result<Found, MediaError> {
    let mut window = Window::new(source, HEAD);
    let mut sequence: Option<Sequence> = None;
    let mut order = PictureOrder::default();
    let mut out = Vec::with_capacity(samples.len());
    for sample in samples {
        let head = window.peek(sample.offset, HEAD.min(sample.size as usize))?;
        let mut number = None;
        for (_, first) in nal::units(head) {
            match (nal::h264(&head[first..]), &sequence) {
                (Unit::Sequence, _) => sequence = nal::sequence(&head[first..]).or(sequence),
                (Unit::Slice { .. }, Some(s)) if nal::decoding_order(s) => return Ok(Found::Same),
                (Unit::Slice { .. }, Some(s)) => {
                    number = order.next(&head[first..], s);
                    break;
                }
                _ => {}
            }
        }
        match number {
            Some(number) => out.push(number),
            None => return Ok(Found::Unknown),
        }
    }
    Ok(Found::Numbers(out))
}

/// MPEG-4 part 2: a B picture is shown before the reference stored before it.
fn mpeg4(source: &Source, samples: &[Sample]) -> Result<Found, MediaError> {
    let mut window = Window::new(source, 512);
    let mut out: Vec<(i64, i64)> = Vec::with_capacity(samples.len());
    let mut anchors = 0;
    let mut any = false;
    for sample in samples {
        let head = window.peek(sample.offset, 512.min(sample.size as usize))?;
        let kind = head.windows(5).find(|w| w[..4] == [0, 0, 1, 0xb6]).map(|w| w[4] >> 6);
        if kind == Some(2) {
            any = true;
            out.push((anchors - 1, 0));
        } else {
            anchors += 1;
            out.push((anchors - 1, 1));
        }
    }
    Ok(if any { Found::Numbers(out) } else { Found::Same })
}
