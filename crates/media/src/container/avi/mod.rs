//! RIFF AVI. Frames have a constant rate and no presentation times: chunk n of the stream is decoded at n ticks.
//!
//! Streams with B-frames get their presentation times from the frames themselves (`reorder.rs`). An index (OpenDML or
//! `idx1`) is used when it agrees with the chunks it points at, else all chunk headers are scanned.

mod chunk_ref;
mod hdrl;
mod idx1;
mod index;
mod keyframes;
mod opendml;
mod reorder;
mod riff;

use super::byte_source::ByteSource;
use super::choice::{TrackChoice, choose};
use super::movie::ParsedFile;
use super::track::codec_of_fourcc;
use super::track::ratio::reduced_ratio;
use super::track::{Sample, TrackSummary, VideoTrack};
use crate::error::{MediaError, malformed};
use crate::options::limits::{Limits, check_limit};
use chunk_ref::ChunkRef;
use hdrl::StreamHeader;
use riff::AviLayout;

/// Reads the index of an AVI file.
pub(super) fn read(source: &ByteSource, limits: &Limits, choice: &TrackChoice<'_>) -> Result<ParsedFile, MediaError> {
    let mut warnings = Vec::new();
    let layout = AviLayout::read(source, limits)?;
    let Some(at) = layout.header else {
        return Err(malformed("avi file", "no header list (hdrl)"));
    };
    check_limit("bytes of headers", at.end - at.body, limits.header_bytes)?;
    let data = source.read_vec(at.body, (at.end - at.body) as usize)?;
    let header = hdrl::read(&data)?;
    if layout.movi.is_empty() {
        return Err(malformed("avi file", "no frames (movi list)"));
    }
    let tracks: Vec<TrackSummary> = header.videos.iter().map(summary).collect();
    let chosen = choose(&tracks, choice)?;
    let stream = &header.videos[chosen];
    let chunks = match index::read(source, &layout, stream, limits, &mut warnings)? {
        Some(chunks) => chunks,
        None => {
            warnings.push("the index is missing or wrong, the chunks were scanned".into());
            index::scan(source, &layout, stream, limits)?
        }
    };
    if layout.truncated {
        warnings.push("the file is cut: a chunk reaches past its end".into());
    }
    let (timescale, tick, mut samples) = samples_of(stream, header.frame_us, &chunks, source.len());
    if samples.is_empty() {
        let text = format!("none of its {} frames lies inside the file", chunks.len());
        return Err(malformed("avi file", text));
    }
    let largest = samples.iter().map(|s| u64::from(s.size)).max().unwrap_or(0);
    check_limit("bytes of a coded frame", largest, limits.sample_bytes)?;
    let codec = codec_of_fourcc(stream.fourcc);
    keyframes::mark(source, &codec, &mut samples)?;
    if !reorder::apply(source, &codec, &mut samples, tick)? {
        warnings.push("frames are shown in another order than stored, their times could not be told".into());
    }
    let track = VideoTrack {
        extradata: stream.extradata.clone(),
        width: stream.width,
        height: stream.height,
        timescale,
        samples,
        duration: Some((chunks.len() as i64).saturating_mul(tick)),
        ..VideoTrack::new(codec)
    };
    let (audio_tracks, sub_tracks) = (header.audio, header.subtitles);
    Ok(ParsedFile { audio_tracks, sub_tracks, ..ParsedFile::of_video(track, tracks, chosen, warnings) })
}

fn summary(stream: &StreamHeader) -> TrackSummary {
    let seconds = f64::from(stream.frames) * f64::from(stream.scale) / f64::from(stream.rate.max(1));
    TrackSummary {
        codec: codec_of_fourcc(stream.fourcc),
        width: stream.width,
        height: stream.height,
        frames: Some(u64::from(stream.frames)).filter(|&n| n > 0),
        seconds: Some(seconds).filter(|&s| s > 0.0 && stream.rate > 0),
        default: !stream.disabled,
        ..TrackSummary::default()
    }
}

/// Turns chunks into samples. Returns ticks per second, ticks per frame, and the samples that lie inside the file of
/// `len` bytes. An empty chunk (a frame repeated) takes its time but gives no sample.
fn samples_of(stream: &StreamHeader, frame_us: u32, chunks: &[ChunkRef], len: u64) -> (u32, i64, Vec<Sample>) {
    let (rate, scale) = match (stream.rate, stream.scale, frame_us) {
        (0, _, 0) | (_, 0, 0) => (25, 1),
        (0, _, us) | (_, 0, us) => (1_000_000, us),
        (rate, scale, _) => (rate, scale),
    };
    let (rate, scale) = reduced_ratio(u64::from(rate), u64::from(scale));
    let tick = i64::from(scale);
    let present = |c: &ChunkRef| c.size > 0 && c.offset.saturating_add(u64::from(c.size)) <= len;
    let sample = |(n, chunk): (i64, &ChunkRef)| {
        let time = n * tick;
        let keyframe = chunk.keyframe == Some(true);
        Sample { offset: chunk.offset, size: chunk.size, pts: time, dts: time, keyframe, shown: true }
    };
    let samples = (0i64..).zip(chunks).filter(|(_, c)| present(c)).map(sample);
    (rate, tick, samples.collect())
}
