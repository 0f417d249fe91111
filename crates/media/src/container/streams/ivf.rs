//! IVF: what the tools of libvpx and libaom write, and dumps of WebRTC. A header of 32 bytes, then each frame after its
//! size and time.

use super::super::byte_source::cursor::Cursor;
use super::super::byte_source::{ByteSource, PeekReader};
use super::super::choice::{TrackChoice, choose};
use super::super::movie::ParsedFile;
use super::super::track::codec_of_fourcc;
use super::super::track::{Sample, TrackSummary, VideoTrack};
use crate::error::{MediaError, malformed};
use crate::options::limits::{Limits, check_limit};

/// Bytes in front of each frame: its size and its time.
const FRAME_HEADER: usize = 12;

/// Whether the first bytes are an IVF header.
pub(in super::super) fn sniff(head: &[u8]) -> bool {
    head.starts_with(b"DKIF")
}

/// Reads the index of an IVF file.
pub(in super::super) fn read(
    source: &ByteSource,
    limits: &Limits,
    choice: &TrackChoice<'_>,
) -> Result<ParsedFile, MediaError> {
    let head = source.read_vec(0, source.len().min(32) as usize)?;
    let mut c = Cursor::new(&head, "ivf header");
    c.skip(6)?;
    let header_bytes = u64::from(c.u16_le()?);
    let codec = codec_of_fourcc(c.fourcc()?);
    let (width, height) = (u32::from(c.u16_le()?), u32::from(c.u16_le()?));
    let (rate, scale) = (c.u32_le()?, c.u32_le()?);
    if rate == 0 || scale == 0 {
        return Err(malformed("ivf header", format!("a clock of {rate}/{scale} ticks per second")));
    }
    let mut warnings = Vec::new();
    let mut samples: Vec<Sample> = Vec::new();
    let mut reader = PeekReader::new(source, FRAME_HEADER);
    let mut at = header_bytes.max(32);
    while at < source.len() {
        let data = reader.peek(at, FRAME_HEADER)?;
        let mut c = Cursor::new(data, "ivf frame");
        let (Ok(size), Ok(time)) = (c.u32_le(), c.u64_le()) else {
            warnings.push(format!("the file is cut: {} bytes at its end are no frame", source.len() - at));
            break;
        };
        let (offset, end) = (at + FRAME_HEADER as u64, at + FRAME_HEADER as u64 + u64::from(size));
        if end > source.len() {
            warnings.push(format!("the file is cut: its last frame wants {} bytes more", end - source.len()));
            break;
        }
        check_limit("bytes of a coded frame", size.into(), limits.sample_bytes)?;
        check_limit("frames of the track", samples.len() as u64 + 1, limits.samples)?;
        let pts = i64::try_from(time).ok().and_then(|t| t.checked_mul(scale.into())).filter(|&t| t < i64::MAX / 8);
        let pts = pts.ok_or_else(|| malformed("ivf frame", format!("a time of {time} ticks at byte {at}")))?;
        // Keyframes are not marked; the index pass finds them.
        let keyframe = false;
        if size > 0 {
            samples.push(Sample { offset, size, pts, dts: pts, keyframe, shown: true });
        }
        at = end;
    }
    if samples.is_empty() {
        return Err(malformed("ivf file", "it holds no frame"));
    }
    let summary =
        TrackSummary { codec: codec.clone(), width, height, frames: Some(samples.len() as u64), ..Default::default() };
    let tracks = vec![summary];
    let chosen = choose(&tracks, choice)?;
    let track = VideoTrack { width, height, timescale: rate, samples, ..VideoTrack::new(codec) };
    Ok(ParsedFile::of_video(track, tracks, chosen, warnings))
}
