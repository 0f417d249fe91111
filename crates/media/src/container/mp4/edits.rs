//! Edit lists: from the media clock to what is shown when, by the rules FFmpeg follows so that times agree with it.

use super::super::limit;
use super::header::Edit;
use super::table::Raw;
use crate::track::Sample;
use crate::{Limits, MediaError};

/// Clocks and kind of the file.
pub(super) struct Clocks {
    /// Ticks a second of the movie.
    pub(super) movie: u32,
    /// Ticks a second of the media.
    pub(super) media: u32,
    /// Whether the file has fragments (their edit list only moves the clock).
    pub(super) fragmented: bool,
}

/// Samples with the edit list applied, and the tick after the last shown one.
///
/// Rules: a leading empty edit delays; each other edit starts at the last keyframe not after its media time, frames
/// outside it are kept for decoding only; the first shown frame lands on the end of the leading empty edits. Fragmented
/// files only have their clock moved. Negative composition offsets raise all presentation times alike.
pub(super) fn apply(
    raws: &[Raw],
    edits: &[Edit],
    clocks: &Clocks,
    limits: &Limits,
) -> Result<(Vec<Sample>, i64), MediaError> {
    let shift = pts_shift(raws);
    let (empty, edits) = edits.split_at(edits.iter().take_while(|e| e.media_time == -1).count());
    let delay = empty.iter().fold(0i64, |sum, e| sum.saturating_add(to_media(e.duration, clocks)));
    let delay = delay.min(i64::MAX / 8);
    if edits.is_empty() || clocks.fragmented {
        let start = edits.first().map_or(0, |e| e.media_time.clamp(0, i64::MAX / 8));
        return Ok(moved(raws, shift, delay - start));
    }
    let mut list = List::new(raws, limits);
    let mut base = delay;
    for edit in edits {
        let duration = to_media(edit.duration, clocks);
        if edit.media_time >= 0 {
            list.add(edit.media_time.min(i64::MAX / 8), duration, base, edits.len() == 1)?;
        }
        base = base.saturating_add(duration).min(i64::MAX / 8);
    }
    Ok(list.finish(delay))
}

fn to_media(duration: u64, clocks: &Clocks) -> i64 {
    let scale = u128::from(clocks.movie.max(1));
    let ticks = (u128::from(duration) * u128::from(clocks.media) + scale / 2) / scale;
    i64::try_from(ticks).unwrap_or(i64::MAX).min(i64::MAX / 8)
}

/// How far negative composition offsets raise all presentation times. As in FFmpeg, absurd offsets do not count.
fn pts_shift(raws: &[Raw]) -> i64 {
    let low = raws.iter().map(|r| r.offset_pts).filter(|&o| o < 0 && o > -(1 << 28)).min();
    -i64::from(low.unwrap_or(0))
}

fn moved(raws: &[Raw], shift: i64, by: i64) -> (Vec<Sample>, i64) {
    let mut end = i64::MIN;
    let sample = |raw: &Raw| {
        let pts = raw.dts + i64::from(raw.offset_pts) + shift + by;
        end = end.max(pts + i64::from(raw.duration));
        Sample { offset: raw.offset, size: raw.size, pts, dts: raw.dts + by, key: raw.key, shown: true }
    };
    (raws.iter().map(sample).collect(), end)
}

/// The edited list as it grows.
struct List<'a> {
    raws: &'a [Raw],
    reordered: bool,
    keys: Vec<usize>,
    out: Vec<Sample>,
    /// Least presentation time shown so far, before the final move.
    least: Option<i64>,
    end: i64,
    limits: &'a Limits,
    work: u64,
}

impl<'a> List<'a> {
    fn new(raws: &'a [Raw], limits: &'a Limits) -> Self {
        let keys = (0..raws.len()).filter(|&i| raws[i].key).collect();
        let reordered = raws.iter().any(|r| r.offset_pts != 0);
        List { raws, reordered, keys, out: Vec::new(), least: None, end: i64::MIN, limits, work: 0 }
    }

    fn cts(&self, i: usize) -> i64 {
        self.raws[i].dts + i64::from(self.raws[i].offset_pts)
    }

    /// The last keyframe decoded and shown no later than `time`; the first frame when there is none.
    fn keyframe_before(&mut self, time: i64) -> usize {
        let mut at = self.keys.partition_point(|&i| self.raws[i].dts <= time);
        while at > 0 {
            at -= 1;
            self.work += 1;
            if self.cts(self.keys[at]) <= time {
                return self.keys[at];
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
        let mut keys_after = 0;
        for i in first..self.raws.len() {
            let raw = self.raws[i];
            let cts = self.cts(i);
            let shown = cts >= media_time && cts < stop;
            if shown && origin.is_none() {
                origin = Some(raw.dts);
            }
            limit("frames after the edit list", self.out.len() as u64 + 1, self.limits.samples)?;
            let at = Sample { offset: raw.offset, size: raw.size, pts: cts, dts: raw.dts, key: raw.key, shown };
            self.out.push(at);
            let last = cts.saturating_add(i64::from(raw.duration)) >= stop && raw.key;
            if last && (!self.reordered || keys_after == 1) {
                break;
            }
            keys_after += usize::from(last);
        }
        self.work += (self.out.len() - from) as u64;
        limit("steps through the edit list", self.work, self.limits.samples.saturating_mul(4))?;
        let origin = origin.unwrap_or(media_time);
        for sample in &mut self.out[from..] {
            sample.pts = sample.pts - origin + base;
            sample.dts = sample.dts - origin + base;
            if sample.shown {
                self.least = Some(self.least.map_or(sample.pts, |l| l.min(sample.pts)));
            }
        }
        let shown = first..first + (self.out.len() - from);
        for (i, sample) in shown.zip(&self.out[from..]) {
            if sample.shown {
                self.end = self.end.max(sample.pts + i64::from(self.raws[i].duration));
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
