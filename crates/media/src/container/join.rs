//! Joining of recordings that follow one another in a file: one track, one clock that keeps rising.

use super::movie::ParsedFile;
use super::nal::configuration;
use super::sample::layout::SampleLayout;
use super::track::{Codec, Sample, VideoTrack};
use crate::options::limits::Limits;

/// Recordings read from one file at most.
pub(super) const MAX_PARTS: usize = 256;

/// Puts the frames of `next` after those of `file`.
///
/// # Errors
/// The reason in words when one decoder cannot read both.
pub(super) fn append(file: &mut ParsedFile, next: ParsedFile, limits: &Limits) -> Result<(), String> {
    let (first, second) = (&file.track, &next.track);
    if first.codec != second.codec {
        return Err(format!("its codec is {} instead of {}", second.codec.name(), first.codec.name()));
    }
    let frames = first.samples.len() as u64 + second.samples.len() as u64;
    if frames > limits.samples {
        return Err(format!("{frames} frames are more than the limit of {}", limits.samples));
    }
    let sets = if first.extradata == second.extradata && first.length_prefixed == second.length_prefixed {
        Vec::new()
    } else if matches!(first.codec, Codec::H264 | Codec::Hevc) {
        configuration::in_band(second, first).ok_or("its units are framed in another way")?
    } else {
        // Other codecs repeat their configuration in every keyframe.
        Vec::new()
    };
    let at = second.samples.iter().map(|sample| sample.offset).min().unwrap_or(u64::MAX);
    let layout =
        SampleLayout::joined(&file.layout, next.layout, at, sets).ok_or("its frames are packed in another way")?;
    let samples = moved(first, second).ok_or("its times are out of range")?;
    file.layout = layout;
    let track = &mut file.track;
    track.duration = end(&samples, second, track.timescale).map(|end| end.saturating_sub(start(&track.samples)));
    track.samples.extend(samples);
    file.warnings.extend(next.warnings);
    if let (Some(mine), Some(new)) = (file.tracks.get_mut(file.chosen), next.tracks.get(next.chosen)) {
        mine.frames = mine.frames.zip(new.frames).map(|(a, b)| a + b);
        mine.seconds = mine.seconds.zip(new.seconds).map(|(a, b)| a + b);
    }
    Ok(())
}

/// The warning about a part of `bytes` that is left out.
pub(super) fn not_read(bytes: u64, why: &str) -> String {
    format!("another recording of {bytes} bytes follows and is not read: {why}")
}

/// The samples of `second` on the clock of `first`, moved behind its last frame where they would overlap.
fn moved(first: &VideoTrack, second: &VideoTrack) -> Option<Vec<Sample>> {
    let rescale = |ticks: i64| rescale(ticks, second.timescale, first.timescale);
    let mut samples = second.samples.clone();
    for sample in &mut samples {
        (sample.pts, sample.dts) = (rescale(sample.pts)?, rescale(sample.dts)?);
    }
    let last = first.samples.iter().filter(|s| s.shown).map(|s| s.pts).max()?;
    let end = first.duration.map_or(0, |d| start(&first.samples).saturating_add(d));
    let end = end.max(last.saturating_add(last_gap(&first.samples)));
    let by = end.saturating_sub(start(&samples)).max(0);
    for sample in &mut samples {
        (sample.pts, sample.dts) = (sample.pts.checked_add(by)?, sample.dts.checked_add(by)?);
    }
    Some(samples).filter(|s| s.iter().all(|s| s.pts.unsigned_abs() < i64::MAX as u64 / 8))
}

/// The end of the joined track in ticks of `timescale`, where the second part states its length.
fn end(samples: &[Sample], second: &VideoTrack, timescale: u32) -> Option<i64> {
    let length = rescale(second.duration?, second.timescale, timescale)?;
    Some(start(samples).saturating_add(length))
}

fn rescale(ticks: i64, from: u32, to: u32) -> Option<i64> {
    i64::try_from(i128::from(ticks) * i128::from(to) / i128::from(from.max(1))).ok()
}

fn start(samples: &[Sample]) -> i64 {
    samples.iter().filter(|s| s.shown).map(|s| s.pts).min().unwrap_or(0)
}

/// Ticks between the last two shown frames; 1 when there is only one.
fn last_gap(samples: &[Sample]) -> i64 {
    let (mut before, mut last) = (None, None);
    for pts in samples.iter().filter(|s| s.shown).map(|s| Some(s.pts)) {
        if pts > last {
            (before, last) = (last, pts);
        } else if pts > before && pts < last {
            before = pts;
        }
    }
    last.zip(before).map_or(1, |(last, before)| last.saturating_sub(before).max(1))
}
