//! Application of the edit list (`elst`): from the media clock to presentation times, by FFmpeg's rules.
//!
//! FFmpeg is followed exactly so that times agree with its own (`mov_fix_index` in libavformat).

use super::super::super::track::Sample;
use super::super::unedited_sample::UneditedSample;
use super::elst::Edit;
use crate::error::MediaError;
use crate::options::limits::{Limits, check_limit};

/// The clocks that edits are converted between.
pub(in super::super) struct Clocks {
    /// Ticks per second of the movie.
    pub(in super::super) movie: u32,
    /// Ticks per second of the media.
    pub(in super::super) media: u32,
    /// Whether the file has fragments. Their edit list only moves the clock.
    pub(in super::super) fragmented: bool,
}

/// Applies `edits`. Returns the samples and the tick after the last shown one.
///
/// - A leading empty edit delays.
/// - Every other edit starts at the last keyframe not after its media time. Frames outside it are kept for decoding.
/// - The first shown frame lands on the end of the leading empty edits.
/// - In a fragmented file, the edit list only moves the clock.
/// - Negative composition offsets lower all decoding times alike; in a fragmented file they raise the presentation
///   times.
///
/// # Errors
/// `Limit` when the edits repeat more samples than `limits` allows.
pub(in super::super) fn apply(
    unedited: &[UneditedSample],
    edits: &[Edit],
    clocks: &Clocks,
    limits: &Limits,
) -> Result<(Vec<Sample>, i64), MediaError> {
    let shift = pts_shift(unedited);
    let (empty, edits) = edits.split_at(edits.iter().take_while(|e| e.media_time == -1).count());
    let delay = empty.iter().fold(0i64, |sum, e| sum.saturating_add(to_media_ticks(e.duration, clocks)));
    let delay = delay.min(i64::MAX / 8);
    if edits.is_empty() || clocks.fragmented {
        let start = edits.first().map_or(0, |e| e.media_time.clamp(0, i64::MAX / 8));
        // Fragments raise the presentation times; a sample table lowers the decoding times instead.
        let (raise, lower) = if clocks.fragmented { (shift, 0) } else { (0, shift) };
        return Ok(move_clock(unedited, delay - start + raise, delay - start - lower));
    }
    let mut timeline = Timeline::new(unedited, limits);
    let mut base = delay;
    for edit in edits {
        let duration = to_media_ticks(edit.duration, clocks);
        if edit.media_time >= 0 {
            timeline.add(edit.media_time.min(i64::MAX / 8), duration, base, edits.len() == 1)?;
        }
        base = base.saturating_add(duration).min(i64::MAX / 8);
    }
    Ok(timeline.finish(delay))
}

/// Rounds movie ticks to media ticks.
fn to_media_ticks(duration: u64, clocks: &Clocks) -> i64 {
    let scale = u128::from(clocks.movie.max(1));
    let ticks = (u128::from(duration) * u128::from(clocks.media) + scale / 2) / scale;
    i64::try_from(ticks).unwrap_or(i64::MAX).min(i64::MAX / 8)
}

/// The lowest composition offset below zero, as a positive number. As in FFmpeg, absurd offsets do not count.
fn pts_shift(unedited: &[UneditedSample]) -> i64 {
    let low = unedited.iter().map(|s| s.composition_offset).filter(|&o| o < 0 && o > -(1 << 28)).min();
    -i64::from(low.unwrap_or(0))
}

/// All samples shown, with their presentation times moved by `pts_by` and their decoding times by `dts_by`.
fn move_clock(unedited: &[UneditedSample], pts_by: i64, dts_by: i64) -> (Vec<Sample>, i64) {
    let mut end = i64::MIN;
    let sample = |s: &UneditedSample| {
        let pts = s.composition_time() + pts_by;
        end = end.max(pts + i64::from(s.duration));
        Sample { offset: s.offset, size: s.size, pts, dts: s.dts + dts_by, keyframe: s.keyframe, shown: true }
    };
    (unedited.iter().map(sample).collect(), end)
}

/// The edited samples as they grow, edit by edit.
struct Timeline<'a> {
    unedited: &'a [UneditedSample],
    reordered: bool,
    keyframes: Vec<usize>,
    out: Vec<Sample>,
    /// Least presentation time shown so far, before the final move.
    least: Option<i64>,
    end: i64,
    limits: &'a Limits,
    work: u64,
}

impl<'a> Timeline<'a> {
    fn new(unedited: &'a [UneditedSample], limits: &'a Limits) -> Self {
        let keyframes = (0..unedited.len()).filter(|&i| unedited[i].keyframe).collect();
        let reordered = unedited.iter().any(|s| s.composition_offset != 0);
        Timeline { unedited, reordered, keyframes, out: Vec::new(), least: None, end: i64::MIN, limits, work: 0 }
    }

    /// The last keyframe decoded and shown no later than `time`; the first frame when there is none.
    fn keyframe_before(&mut self, time: i64) -> usize {
        let mut at = self.keyframes.partition_point(|&i| self.unedited[i].dts <= time);
        while at > 0 {
            at -= 1;
            self.work += 1;
            if self.unedited[self.keyframes[at]].composition_time() <= time {
                return self.keyframes[at];
            }
        }
        0
    }

    /// Adds the samples of one edit that starts at `media_time` and is shown from `base` on.
    fn add(&mut self, media_time: i64, duration: i64, base: i64, only: bool) -> Result<(), MediaError> {
        // A single edit of no length means the rest of the media.
        let stop = if duration == 0 && only { i64::MAX } else { media_time.saturating_add(duration) };
        let first = self.keyframe_before(media_time);
        let from = self.out.len();
        let mut origin = None;
        let mut keyframes_after = 0;
        for i in first..self.unedited.len() {
            let s = self.unedited[i];
            let cts = s.composition_time();
            let shown = cts >= media_time && cts < stop;
            if shown && origin.is_none() {
                origin = Some(s.dts);
            }
            check_limit("frames after the edit list", self.out.len() as u64 + 1, self.limits.samples)?;
            let sample = Sample { offset: s.offset, size: s.size, pts: cts, dts: s.dts, keyframe: s.keyframe, shown };
            self.out.push(sample);
            let last = cts.saturating_add(i64::from(s.duration)) >= stop && s.keyframe;
            if last && (!self.reordered || keyframes_after == 1) {
                break;
            }
            keyframes_after += usize::from(last);
        }
        self.work += (self.out.len() - from) as u64;
        check_limit("steps through the edit list", self.work, self.limits.samples.saturating_mul(4))?;
        let origin = origin.unwrap_or(media_time);
        for sample in &mut self.out[from..] {
            sample.pts = sample.pts - origin + base;
            sample.dts = sample.dts - origin + base;
            if sample.shown {
                self.least = Some(self.least.map_or(sample.pts, |l| l.min(sample.pts)));
            }
        }
        let added = first..first + (self.out.len() - from);
        for (i, sample) in added.zip(&self.out[from..]) {
            if sample.shown {
                self.end = self.end.max(sample.pts + i64::from(self.unedited[i].duration));
            }
        }
        Ok(())
    }

    /// Moves everything so that the first shown frame is at `delay`.
    fn finish(mut self, delay: i64) -> (Vec<Sample>, i64) {
        let by = (self.least.unwrap_or(delay) - delay).max(0);
        for sample in &mut self.out {
            sample.pts -= by;
            sample.dts -= by;
        }
        (self.out, self.end.saturating_sub(by))
    }
}
