//! Containers: bytes to a list of coded frames with exact times. No codec is run here; payloads are only touched where
//! a format forces it (transport streams). Readers give the frames that lie inside a cut file, with a warning.

mod bytes;
pub mod source;

mod avi;
mod mkv;
mod mp4;
mod nal;
mod ts;

use crate::track::{Codec, Container, Sample, VideoTrack};
use crate::{Limits, MediaError};
use bytes::bad;
use source::Source;

/// What a container holds, as far as video is concerned.
#[derive(Clone, Debug)]
pub struct Movie {
    /// The format.
    pub container: Container,
    /// The chosen video track (the first one that is enabled and not a cover or chapter picture).
    pub track: VideoTrack,
    /// Presentation time of the first shown frame in ticks of the track.
    pub start: i64,
    /// What was odd about the file, one sentence each.
    pub warnings: Vec<String>,
    /// Number of audio tracks.
    pub audio_tracks: usize,
    /// Number of subtitle or text tracks.
    pub sub_tracks: usize,
    layout: Layout,
}

/// How a sample's bytes lie in the file.
#[derive(Clone, Debug)]
enum Layout {
    /// One range each.
    Ranges,
    /// One range each, after these bytes (Matroska header stripping).
    Prefixed(Vec<u8>),
    /// Payload of transport packets.
    Packets(ts::Packets),
}

/// What a reader found, before the checks that all formats share.
struct Found {
    track: VideoTrack,
    warnings: Vec<String>,
    audio_tracks: usize,
    sub_tracks: usize,
    layout: Layout,
}

/// The container by its first bytes; `None` when it is none of ours.
pub fn sniff(source: &Source) -> Option<Container> {
    let mut head = [0; 2048];
    let n = source.read_some(0, &mut head).ok()?;
    let head = &head[..n];
    if head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        return Some(Container::Matroska);
    }
    if head.len() >= 12 && (&head[..4] == b"RIFF" || &head[..4] == b"ON2 ") && head[8..11] == *b"AVI" {
        return Some(Container::Avi);
    }
    if mp4::sniff(head, source.len()) {
        return Some(Container::Mp4);
    }
    ts::sniff(head).map(|_| Container::Ts)
}

/// Reads the index of `source`. Errors: `Malformed` when no frame can be listed, `Unsupported` for encrypted or packed
/// files, `Limit` before a table larger than `limits` is expanded.
pub fn read(source: &Source, container: Container, limits: &Limits) -> Result<Movie, MediaError> {
    if source.is_empty() {
        return Err(bad("file", "it is empty (0 bytes)"));
    }
    limit("bytes of the file", source.len(), limits.file_bytes)?;
    let found = match container {
        Container::Mp4 => mp4::read(source, limits)?,
        Container::Matroska => mkv::read(source, limits)?,
        Container::Avi => avi::read(source, limits)?,
        Container::Ts => ts::read(source, limits)?,
    };
    finish(container, found, limits)
}

/// The checks every format shares, and the start time.
fn finish(container: Container, found: Found, limits: &Limits) -> Result<Movie, MediaError> {
    let Found { track, warnings, audio_tracks, sub_tracks, layout } = found;
    limit("pixels of a frame", u64::from(track.width) * u64::from(track.height), limits.pixels)?;
    let mut shown = track.samples.iter().filter(|s| s.shown).map(|s| s.pts);
    let Some(first) = shown.next() else {
        return Err(bad("video track", "it holds no frame to show"));
    };
    let (start, end) = shown.fold((first, first), |(low, high), pts| (low.min(pts), high.max(pts)));
    let seconds = (end as f64 - start as f64) / f64::from(track.timescale);
    if seconds > limits.seconds {
        let (number, limit) = (seconds as u64, limits.seconds as u64);
        return Err(MediaError::Limit { what: "seconds of video", number, limit });
    }
    Ok(Movie { container, track, start, warnings, audio_tracks, sub_tracks, layout })
}

impl Movie {
    /// The coded bytes of sample `index` (decoding order). Errors: `Caller` for an index out of range, `Io`.
    pub fn read_sample(&self, source: &Source, index: usize) -> Result<Vec<u8>, MediaError> {
        let Some(sample) = self.track.samples.get(index) else {
            let text = format!("sample {index} wanted, the track has {}", self.track.samples.len());
            return Err(MediaError::Caller(text));
        };
        match &self.layout {
            Layout::Ranges => source.read_vec(sample.offset, sample.size as usize),
            Layout::Prefixed(prefix) => {
                let mut out = prefix.clone();
                out.extend(source.read_vec(sample.offset, sample.size as usize)?);
                Ok(out)
            }
            Layout::Packets(packets) => packets.read(source, sample, index),
        }
    }
}

/// Fails when `number` is over `limit`.
fn limit(what: &'static str, number: u64, limit: u64) -> Result<(), MediaError> {
    if number > limit {
        return Err(MediaError::Limit { what, number, limit });
    }
    Ok(())
}

/// Gives samples without decoding times (`dts` equal to `pts`) some: the presentation times in order, moved back so
/// that no frame is shown before it is decoded.
fn fill_dts(samples: &mut [Sample]) {
    let mut sorted: Vec<i64> = samples.iter().map(|s| s.pts).collect();
    sorted.sort_unstable();
    let back = sorted.iter().zip(samples.iter()).map(|(d, s)| d.saturating_sub(s.pts)).max().unwrap_or(0);
    for (sample, dts) in samples.iter_mut().zip(sorted) {
        sample.dts = dts.saturating_sub(back);
    }
}

/// Codec of a four-character code as used by QuickTime, MP4, AVI and video for Windows.
fn codec_of_code(code: [u8; 4]) -> Codec {
    let upper = code.map(|b| b.to_ascii_uppercase());
    match &upper {
        b"AVC1" | b"AVC2" | b"AVC3" | b"AVC4" | b"H264" | b"X264" | b"DVA1" | b"DVAV" | b"DAVC" => Codec::H264,
        b"HVC1" | b"HEV1" | b"HVC2" | b"HEV2" | b"HEVC" | b"H265" | b"X265" | b"DVH1" | b"DVHE" => Codec::Hevc,
        b"VP08" | b"VP80" => Codec::Vp8,
        b"VP09" | b"VP90" => Codec::Vp9,
        b"AV01" => Codec::Av1,
        b"JPEG" | b"MJPG" | b"MJPA" | b"AVRN" | b"DMB1" | b"AVDJ" => Codec::Mjpeg,
        b"MP4V" | b"XVID" | b"DIVX" | b"DX50" | b"FMP4" | b"3IV2" | b"M4S2" | b"MP4S" => Codec::Mpeg4,
        b"MPG2" | b"MP2V" | b"M2V1" | b"MPEG" | b"EM2V" | b"HDV1" | b"HDV2" | b"HDV3" => Codec::Mpeg2,
        _ => Codec::Other(bytes::code_text(code)),
    }
}

/// `a / b` in lowest terms, cut to 32 bits each; (1, 1) when either is zero.
fn ratio(a: u64, b: u64) -> (u32, u32) {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    let (mut a, mut b) = (a / x.max(1), b / x.max(1));
    while a.max(b) > u64::from(u32::MAX) {
        (a, b) = (a >> 1, b >> 1);
    }
    if a == 0 || b == 0 { (1, 1) } else { (a as u32, b as u32) }
}
