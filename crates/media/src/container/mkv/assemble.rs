//! From the parsed elements of a segment to a track on a clock with an integer number of ticks per second.

use super::super::byte_source::ByteSource;
use super::super::choice::{TrackChoice, choose};
use super::super::movie::ParsedFile;
use super::super::nal::framing;
use super::super::sample::layout::SampleLayout;
use super::super::track::{Codec, Sample, TrackSummary, VideoTrack};
use super::cluster::ScannedTrack;
use super::content_encoding::Packing;
use super::decode_times;
use super::info::Clock;
use super::text;
use super::tracks::TrackEntry;
use super::walk::SegmentContents;
use crate::error::{MediaError, malformed};
use crate::options::limits::Limits;

/// Chooses the video track of a segment and puts it together.
///
/// # Errors
/// `Malformed` when it holds no frame; the reason when its track cannot be read.
pub(super) fn file(
    source: &ByteSource,
    contents: SegmentContents<'_>,
    limits: &Limits,
    choice: &TrackChoice<'_>,
) -> Result<ParsedFile, MediaError> {
    let SegmentContents { info, mut tracks, mut scan, mut warnings } = contents;
    let clock = Clock::new(&info, &mut warnings);
    let summaries = tracks.videos.iter().zip(&scan.tracks).map(|(entry, frames)| summary(entry, frames, &clock));
    let summaries: Vec<TrackSummary> = summaries.collect();
    let chosen = choose(&summaries, choice)?;
    // Text tracks were scanned after the video tracks.
    let cues = scan.tracks.split_off(tracks.videos.len().min(scan.tracks.len()));
    let texts =
        tracks.texts.drain(..).zip(cues).map(|(entry, cues)| text::track(entry, cues, &clock, limits)).collect();
    let alone = tracks.videos.len() == 1 && tracks.audio + tracks.subtitles == 0;
    let entry = tracks.videos.swap_remove(chosen)?;
    let ScannedTrack { mut samples, last, .. } = scan.tracks.swap_remove(chosen);
    if samples.is_empty() {
        return Err(malformed("matroska file", "it holds no frame of the video track"));
    }
    for sample in &mut samples {
        sample.pts = clock.ticks(sample.pts)?;
    }
    decode_times::fill(&mut samples);
    if !samples.iter().any(|s| s.keyframe) {
        warnings.push("no frame says it is a keyframe, decoding starts at the first".into());
        samples[0].keyframe = true;
    }
    let stated = info.duration.filter(|_| alone);
    let duration = duration(&samples, last.1.map(|d| d as f64), stated, &clock);
    let layout = layout(entry.packing, limits);
    let track = VideoTrack {
        codec: entry.codec,
        extradata: entry.extradata,
        length_prefixed: entry.length_prefixed,
        width: entry.video.width,
        height: entry.video.height,
        crop: entry.video.crop,
        orientation: entry.video.orientation,
        sar: entry.video.sar,
        color: entry.video.color,
        timescale: clock.timescale,
        duration,
        samples,
    };
    let (tracks, audio_tracks, sub_tracks) = (summaries, tracks.audio, tracks.subtitles);
    let mut file = ParsedFile { track, tracks, chosen, warnings, audio_tracks, sub_tracks, texts, layout };
    framing::correct(source, &mut file);
    Ok(file)
}

fn summary(entry: &Result<TrackEntry, MediaError>, frames: &ScannedTrack, clock: &Clock) -> TrackSummary {
    let Ok(entry) = entry else {
        let codec = Codec::Other("not readable".into());
        return TrackSummary { codec, readable: false, ..TrackSummary::default() };
    };
    let times = || frames.samples.iter().map(|s| s.pts);
    let ticks = times().max().zip(times().min()).map(|(last, first)| (last - first) as f64);
    TrackSummary {
        codec: entry.codec.clone(),
        width: entry.video.width,
        height: entry.video.height,
        frames: Some(frames.samples.len() as u64),
        seconds: ticks.map(|t| t * clock.each as f64 / f64::from(clock.timescale)),
        default: entry.default,
        ..TrackSummary::default()
    }
}

/// Ticks from the first frame to the end of the last one, where the file says how long that one is shown: in its own
/// block, or by the length of a segment (`stated`, counted from 0 or from the first frame) that holds nothing else.
fn duration(samples: &[Sample], of_last: Option<f64>, stated: Option<f64>, clock: &Clock) -> Option<i64> {
    let first = samples.iter().map(|s| s.pts).min()?;
    let last = samples.iter().map(|s| s.pts).max()?;
    let ticks = |stored: f64| {
        let ticks = (stored * clock.each as f64).round();
        Some(ticks as i64).filter(|_| ticks >= 0.0 && ticks < (i64::MAX / 8) as f64)
    };
    if let Some(of_last) = of_last.and_then(ticks) {
        return Some(last - first + of_last);
    }
    let stated = stated.and_then(ticks)?;
    [stated - first, stated].into_iter().find(|&d| d > last - first)
}

fn layout(packing: Packing, limits: &Limits) -> SampleLayout {
    if packing.zlib {
        SampleLayout::Zlib(limits.sample_bytes.min(usize::MAX as u64) as usize)
    } else if packing.stripped.is_empty() {
        SampleLayout::Ranges
    } else {
        SampleLayout::Prefixed(packing.stripped)
    }
}
