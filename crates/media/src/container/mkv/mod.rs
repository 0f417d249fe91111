//! Matroska and WebM (RFC 9559). All block headers are scanned: that is cheap, gives every presentation time, and needs
//! no cues.

mod cluster;
mod content_encoding;
mod decode_times;
mod ebml;
mod ids;
mod info;
mod lacing;
mod segment;
mod tracks;
mod video;

use super::byte_source::{ByteSource, PeekReader};
use super::movie::ParsedFile;
use super::sample_layout::SampleLayout;
use super::track::{Sample, VideoTrack};
use crate::error::{MediaError, malformed};
use crate::limits::{Limits, check_limit};
use cluster::ClusterScan;
use ebml::element;
use info::SegmentInfo;
use segment::{READ_AHEAD, SegmentReader};
use tracks::Tracks;

/// Reads the index of a Matroska file.
pub(super) fn read(source: &ByteSource, limits: &Limits) -> Result<ParsedFile, MediaError> {
    let mut segment = SegmentReader::new(source, limits);
    let mut warnings = Vec::new();
    let (from, end) = segment.find()?;
    let mut info = SegmentInfo::default();
    let mut tracks: Option<Tracks> = None;
    let mut scan: Option<ClusterScan<'_>> = None;
    let mut at = from;
    let mut count = 0u64;
    while at < end {
        count += 1;
        check_limit("elements of the segment", count, limits.samples)?;
        let Some(child) = element(&mut segment.reader, at)? else {
            warnings.push(format!("no element at byte {at}, the rest is not read"));
            break;
        };
        match child.id {
            ids::INFO => info = info::read(&segment.load(child)?)?,
            ids::TRACKS if tracks.is_none() => tracks = Some(tracks::read(&segment.load(child)?, &mut warnings)?),
            ids::CLUSTER => {
                let Some(tracks) = &tracks else {
                    return Err(malformed("matroska file", "frames before the list of tracks"));
                };
                let scan = scan.get_or_insert_with(|| scan_of(source, limits, tracks, &info));
                at = scan.cluster(child, end)?.max(at + 1);
                continue;
            }
            ids::EBML | ids::SEGMENT => break,
            _ => {}
        }
        let Some(size) = child.size else {
            warnings.push(format!("an element of unknown size at byte {at}, the rest is not read"));
            break;
        };
        at = child.body.saturating_add(size);
    }
    if at > source.len() {
        warnings.push(format!("the file is cut: {} bytes are missing", at - source.len()));
    }
    let Some(tracks) = tracks else {
        return Err(malformed("matroska file", "it has no list of tracks"));
    };
    let Some(scan) = scan.filter(|s| !s.samples.is_empty()) else {
        return Err(malformed("matroska file", "it holds no frame of the video track"));
    };
    warnings.extend(scan.warnings);
    assemble(tracks, info, scan.samples, warnings)
}

fn scan_of<'a>(source: &'a ByteSource, limits: &'a Limits, tracks: &Tracks, info: &SegmentInfo) -> ClusterScan<'a> {
    let video = &tracks.video;
    let scale = info.timestamp_scale.max(1);
    let lace_ticks = video.default_duration.map_or(0, |ns| (ns / scale).min(1 << 40) as i64);
    let reader = PeekReader::new(source, READ_AHEAD);
    ClusterScan::new(reader, limits, video.number, lace_ticks, video.stripped.len() as u64)
}

/// Puts the parsed elements together on a clock with an integer number of ticks per second.
fn assemble(
    tracks: Tracks,
    info: SegmentInfo,
    mut samples: Vec<Sample>,
    mut warnings: Vec<String>,
) -> Result<ParsedFile, MediaError> {
    let Tracks { video: entry, audio, subtitles } = tracks;
    let scale = if info.timestamp_scale == 0 {
        warnings.push("the clock's tick is 0 ns, 1 ms is used".into());
        1_000_000
    } else {
        info.timestamp_scale
    };
    let (timescale, each) = match 1_000_000_000 % scale {
        0 => (1_000_000_000 / scale, 1),
        _ => (1_000_000_000, scale as i64),
    };
    for sample in &mut samples {
        let time = sample.pts.checked_mul(each).filter(|t| t.abs() < i64::MAX / 8);
        sample.pts =
            time.ok_or_else(|| malformed("matroska block", format!("a time of {} x {each} ns", sample.pts)))?;
    }
    decode_times::fill(&mut samples);
    if !samples.iter().any(|s| s.keyframe) {
        warnings.push("no frame says it is a keyframe, decoding starts at the first".into());
        samples[0].keyframe = true;
    }
    let duration = info.duration.map(|d| d * each as f64).filter(|d| *d < (i64::MAX / 8) as f64);
    let track = VideoTrack {
        codec: entry.codec,
        extradata: entry.extradata,
        length_prefixed: entry.length_prefixed,
        width: entry.video.width,
        height: entry.video.height,
        rotation: entry.video.rotation,
        sar: entry.video.sar,
        color: entry.video.color,
        timescale: timescale as u32,
        duration: duration.map(|d| d.round() as i64),
        samples,
    };
    let layout = if entry.stripped.is_empty() { SampleLayout::Ranges } else { SampleLayout::Prefixed(entry.stripped) };
    Ok(ParsedFile { track, warnings, audio_tracks: audio, sub_tracks: subtitles, layout })
}
