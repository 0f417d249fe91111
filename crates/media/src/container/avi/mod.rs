//! RIFF AVI. Frames have a constant rate and no presentation times: the n-th chunk of the stream is decoded at n ticks.
//! Streams whose frames are shown in another order get their presentation times from the frames (see `order`). The
//! index (OpenDML or `idx1`) is used when it agrees with the chunks it points at, else all chunk headers are scanned.

mod header;
mod index;
mod order;

use super::bytes::bad;
use super::source::{Source, Window};
use super::{Found, Layout, codec_of_code, limit, ratio};
use crate::track::{Codec, Colour, Sample, VideoTrack};
use crate::{Limits, MediaError};
use header::Stream;
use index::Chunk;

/// A chunk of the file: code, contents, and the end as stored.
#[derive(Clone, Copy, Debug)]
struct Part {
    code: [u8; 4],
    body: u64,
    /// Bytes of the contents as stored.
    size: u32,
    /// End of the contents, cut at the end of the file.
    end: u64,
    /// First byte after the contents and their padding, not cut.
    next: u64,
}

/// The places of a file.
#[derive(Default)]
struct Places {
    header: Option<Part>,
    /// Contents of the `movi` lists.
    movi: Vec<(u64, u64)>,
    idx1: Option<(u64, u64)>,
    /// Whether a chunk reaches past the end of the file.
    cut: bool,
}

/// Reads an AVI file.
pub(super) fn read(source: &Source, limits: &Limits) -> Result<Found, MediaError> {
    let mut warnings = Vec::new();
    let places = places(source, limits)?;
    let Some(at) = places.header else {
        return Err(bad("avi file", "no header list (hdrl)"));
    };
    limit("bytes of headers", at.end - at.body, limits.header_bytes)?;
    let data = source.read_vec(at.body, (at.end - at.body) as usize)?;
    let header = header::read(&data)?;
    if places.movi.is_empty() {
        return Err(bad("avi file", "no frames (movi list)"));
    }
    let stream = &header.video;
    let mut chunks = match index::read(source, &places, stream, limits)? {
        Some(chunks) => chunks,
        None => {
            warnings.push("the index is missing or wrong, the chunks were scanned".into());
            index::scan(source, &places, stream, limits)?
        }
    };
    if places.cut {
        warnings.push("the file is cut: a chunk reaches past its end".into());
    }
    let all = chunks.len();
    let slots: Vec<(i64, Chunk)> = (0i64..).zip(chunks.drain(..)).collect();
    let (timescale, tick, mut samples) = times(stream, header.frame_us, &slots, source.len());
    if samples.is_empty() {
        return Err(bad("avi file", format!("none of its {all} frames lies inside the file")));
    }
    let largest = samples.iter().map(|s| u64::from(s.size)).max().unwrap_or(0);
    limit("bytes of a coded frame", largest, limits.sample_bytes)?;
    let codec = codec_of_code(stream.code);
    mark_keys(source, &codec, &mut samples)?;
    if !order::apply(source, &codec, &mut samples, tick)? {
        warnings.push("frames are shown in another order than stored, their times could not be told".into());
    }
    let track = VideoTrack {
        codec,
        extradata: stream.extradata.clone(),
        length_prefixed: false,
        width: stream.width,
        height: stream.height,
        rotation: 0,
        sar: (1, 1),
        colour: Colour::default(),
        timescale,
        samples,
        duration: Some((all as i64).saturating_mul(tick)),
    };
    let (audio_tracks, sub_tracks) = (header.audio, header.subs);
    Ok(Found { track, warnings, audio_tracks, sub_tracks, layout: Layout::Ranges })
}

/// Chunks to samples on a clock of whole ticks. Empty chunks (a frame repeated) take their time but give no sample.
fn times(stream: &Stream, frame_us: u32, slots: &[(i64, Chunk)], len: u64) -> (u32, i64, Vec<Sample>) {
    let (rate, scale) = match (stream.rate, stream.scale, frame_us) {
        (0, _, 0) | (_, 0, 0) => (25, 1),
        (0, _, us) | (_, 0, us) => (1_000_000, us),
        (rate, scale, _) => (rate, scale),
    };
    let (rate, scale) = ratio(u64::from(rate), u64::from(scale));
    let tick = i64::from(scale);
    let inside = slots.iter().filter(|(_, c)| c.size > 0 && c.offset.saturating_add(u64::from(c.size)) <= len);
    let sample = |(n, chunk): &(i64, Chunk)| {
        let time = n * tick;
        let (offset, size, key) = (chunk.offset, chunk.size, chunk.key == Some(true));
        Sample { offset, size, pts: time, dts: time, key, shown: true }
    };
    (rate, tick, inside.map(sample).collect())
}

/// Finds keyframes in the payloads when the index told none.
fn mark_keys(source: &Source, codec: &Codec, samples: &mut [Sample]) -> Result<(), MediaError> {
    if samples.iter().any(|s| s.key) {
        return Ok(());
    }
    let mut window = Window::new(source, 256);
    for sample in samples.iter_mut() {
        let head = match codec {
            Codec::Mjpeg => &[],
            _ => window.peek(sample.offset, sample.size.min(256) as usize)?,
        };
        sample.key = match codec {
            Codec::Mjpeg => true,
            Codec::H264 => units(head).any(|u| matches!(u & 31, 5 | 7)),
            Codec::Hevc => units(head).any(|u| matches!(u >> 1 & 63, 16..=23 | 32)),
            Codec::Mpeg4 => head.windows(5).any(|w| w[..4] == [0, 0, 1, 0xb6] && w[4] >> 6 == 0),
            Codec::Mpeg2 => head.windows(4).any(|w| *w == [0, 0, 1, 0xb3]),
            _ => false,
        };
    }
    samples[0].key = true;
    Ok(())
}

/// First bytes of the units after start codes.
fn units(data: &[u8]) -> impl Iterator<Item = u8> + '_ {
    data.windows(4).filter(|w| w[..3] == [0, 0, 1]).map(|w| w[3])
}

/// Walks the file's chunks down to the lists that matter.
fn places(source: &Source, limits: &Limits) -> Result<Places, MediaError> {
    let mut window = Window::new(source, 64);
    let len = source.len();
    let mut places = Places::default();
    let mut count = 0u64;
    let mut riff = 0;
    while let Some(outer) = part(&mut window, riff)? {
        if outer.code != *b"RIFF" && outer.code != *b"ON2 " {
            break;
        }
        // A size of nothing or past the end: written by a recorder that was stopped.
        let end = if outer.end <= outer.body + 4 { len } else { outer.end };
        let mut at = outer.body + 4;
        while let Some(inner) = part(&mut window, at)?.filter(|p| p.body <= end) {
            count += 1;
            limit("chunks of the file", count, limits.samples)?;
            let kind = kind(&mut window, &inner)?;
            match (&inner.code, kind.as_ref()) {
                (b"LIST", Some(b"hdrl")) if places.header.is_none() => {
                    let body = (inner.body + 4).min(inner.end);
                    places.header = Some(Part { body, ..inner });
                }
                (b"LIST", Some(b"movi")) => {
                    let empty = inner.end <= inner.body + 4;
                    places.movi.push((inner.body + 4, if empty { len } else { inner.end }));
                }
                (b"idx1", _) if places.idx1.is_none() => places.idx1 = Some((inner.body, inner.end)),
                _ => {}
            }
            places.cut |= inner.next > len + 1;
            at = inner.next;
        }
        riff = outer.next.max(at.min(end)).max(outer.body);
    }
    Ok(places)
}

/// The chunk header at `at`; `None` at the end of the file.
fn part(window: &mut Window<'_>, at: u64) -> Result<Option<Part>, MediaError> {
    let len = window.len();
    let Some(&[a, b, c, d, w, x, y, z]) = window.peek(at, 8)?.first_chunk::<8>() else {
        return Ok(None);
    };
    let said = u32::from_le_bytes([w, x, y, z]);
    let (body, size) = (at + 8, u64::from(said));
    let (end, next) = ((body + size).min(len), body + size + (size & 1));
    Ok(Some(Part { code: [a, b, c, d], body, size: said, end, next }))
}

/// The kind of a list.
fn kind(window: &mut Window<'_>, part: &Part) -> Result<Option<[u8; 4]>, MediaError> {
    Ok(window.peek(part.body, 4)?.first_chunk::<4>().copied())
}

/// Whether a chunk code is a video frame of stream `number`.
fn is_frame(code: [u8; 4], number: usize) -> bool {
    let [tens, ones, a, b] = code;
    tens.is_ascii_digit()
        && ones.is_ascii_digit()
        && usize::from(tens - b'0') * 10 + usize::from(ones - b'0') == number
        && !matches!(&[a, b], b"wb" | b"pc" | b"tx" | b"ix")
}
