//! When each frame is on screen: from its start until the next one's, the last until the end of the video.
//!
//! Seconds count from the start of the first frame, as players do, whatever the clock of the file says then.

use std::ops::Range;
use std::sync::Arc;

use zoetrope_media::Time;

use crate::error::{ModelError, ModelResult};

/// A frame that starts this many seconds after a moment counts as on screen: moments are computed in floats.
const ROUNDING: f64 = 1e-9;

/// The frames of a picture or video in time.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// On the source's clock, in order.
    times: Arc<[Time]>,
    /// Seconds from the first frame's start.
    end: f64,
}

/// A part of a video: what is on screen from one moment to another.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeRange {
    /// Frames that are on screen in it; at least one.
    pub frames: Range<usize>,
    /// Its start in seconds from the first frame's start. The first of its frames may have started earlier.
    pub start: f64,
    /// Its end.
    pub end: f64,
}

impl Timeline {
    /// Frames that start at `times`, in order, the last of which ends at `end` seconds, both on the source's clock. An
    /// end before the last frame's start counts as unknown: that frame has no length.
    pub fn new(times: impl Into<Arc<[Time]>>, end: f64) -> Self {
        let mut timeline = Timeline { times: times.into(), end: 0.0 };
        let last = timeline.len().checked_sub(1).map_or(0.0, |last| timeline.start_of(last));
        // Files that start at zero, which most do, are not touched by any rounding.
        let offset = timeline.times.first().filter(|first| first.ticks != 0).map_or(0.0, |first| first.seconds());
        timeline.end = (end - offset).max(last);
        timeline
    }

    /// The one frame of a picture, which has no length.
    pub fn of_picture() -> Self {
        Timeline::new([Time::new(0, 1)], 0.0)
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// End of the last frame.
    pub fn end(&self) -> f64 {
        self.end
    }

    /// Start of frame `index`; `index` is below [`Timeline::len`].
    pub fn start_of(&self, index: usize) -> f64 {
        let (own, first) = (self.times[index], self.times[0]);
        if first.ticks == 0 {
            return own.seconds();
        }
        if own.scale == first.scale {
            return (i128::from(own.ticks) - i128::from(first.ticks)) as f64 / f64::from(own.scale);
        }
        let (ticks, scale) = self.exact_start_of(index);
        ticks as f64 / scale as f64
    }

    /// Start of frame `index` as an exact fraction of a second: (numerator, denominator).
    pub fn exact_start_of(&self, index: usize) -> (i128, i128) {
        let (own, first) = (self.times[index], self.times[0]);
        let (own_scale, first_scale) = (i128::from(own.scale), i128::from(first.scale));
        (i128::from(own.ticks) * first_scale - i128::from(first.ticks) * own_scale, own_scale * first_scale)
    }

    /// Start of frame `index` on the source's own clock, in seconds.
    pub fn source_time(&self, index: usize) -> f64 {
        self.times[index].seconds()
    }

    /// Shortest time in seconds that the clock of frame `index` can tell.
    pub fn tick_of(&self, index: usize) -> f64 {
        1.0 / f64::from(self.times[index].scale)
    }

    /// The frame that is on screen at `seconds`: the last that starts at or before it, or the first.
    pub fn on_screen(&self, seconds: f64) -> usize {
        self.frames_before(|start| start <= seconds + ROUNDING).saturating_sub(1)
    }

    /// What is on screen from `start` to `end`; `None` is the start or the end of the video.
    ///
    /// # Errors
    /// [`ModelError::Caller`] when that is nothing, with both numbers and the length of the video.
    pub fn range(&self, start: Option<f64>, end: Option<f64>) -> ModelResult<TimeRange> {
        let Some(last) = self.len().checked_sub(1) else {
            return Err(ModelError::Caller("the video has no frames".to_string()));
        };
        let (from, to) = (start.unwrap_or(f64::NEG_INFINITY), end.unwrap_or(f64::INFINITY));
        if from.is_nan() || to.is_nan() || from >= to {
            return Err(ModelError::Caller(format!("the start, {from} s, is not before the end, {to} s")));
        }
        let over = from >= self.end && from > self.start_of(last) + ROUNDING;
        if over || to <= 0.0 {
            let asked = match (start, end) {
                (Some(start), None) => format!("from {start} s on"),
                (None, Some(end)) => format!("before {end} s"),
                _ => format!("between {from} s and {to} s"),
            };
            let text = format!("no frame {asked}; the video lasts {} s, counted from its first frame", self.end);
            return Err(ModelError::Caller(text));
        }
        let first = self.on_screen(from);
        let frames = first..self.frames_before(|start| start < to).max(first + 1);
        Ok(TimeRange { frames, start: from.max(0.0), end: to.min(self.end) })
    }

    /// The frames of `range` as a timeline of their own, which begins with the first of them.
    #[must_use]
    pub fn part(&self, range: &TimeRange) -> Timeline {
        let times: Arc<[Time]> = self.times[range.frames.clone()].into();
        let offset = self.times.first().map_or(0.0, |first| first.seconds());
        Timeline::new(times, offset + range.end)
    }

    /// Seconds from a frame to the next, where the frames of `range` start at equal distances, within one tick of their
    /// clock, and the last one stays no longer than the others. That of a single frame is how long it stays.
    pub fn constant_step(&self, range: &TimeRange) -> Option<f64> {
        let (first, last) = (range.frames.start, range.frames.end - 1);
        let begin = self.start_of(first);
        if first == last {
            return Some((range.end - begin).max(0.0));
        }
        let step = (self.start_of(last) - begin) / (last - first) as f64;
        // Where a tick is nearly a frame, a frame that is missing must still show. Matroska rounds to milliseconds.
        let rounding = self.tick_of(first).min(step / 4.0).max(1e-3) + 1e-9;
        let even = |index: usize| (self.start_of(index) - begin - (index - first) as f64 * step).abs() <= rounding;
        let constant = range.frames.clone().all(even) && range.end - self.start_of(last) <= 1.5 * step + rounding;
        constant.then_some(step)
    }

    /// How many frames, from the first on, start when `is_before` says so.
    fn frames_before(&self, is_before: impl Fn(f64) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(self.start_of(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slide every 30 s on a clock of milliseconds that starts at `first` seconds.
    fn slides(first: i64) -> Timeline {
        let times: Vec<Time> = (0..8).map(|n| Time::new((first + 30 * n) * 1000, 1000)).collect();
        Timeline::new(times, (first + 240) as f64)
    }

    #[test]
    fn a_frame_is_on_screen_until_the_next_one_starts() {
        for first in [0, 36_001, -7, 1_700_000_000] {
            let video = slides(first);
            let shown = [-1.0, 0.0, 29.9, 30.0, 59.999, 225.0, 239.0, 900.0].map(|moment| video.on_screen(moment));
            assert_eq!(shown, [0, 0, 0, 1, 1, 7, 7, 7], "{first}");
            assert_eq!((video.start_of(7), video.end(), video.source_time(1)), (210.0, 240.0, (first + 30) as f64));
            let range = |start, end| video.range(start, end).unwrap();
            assert_eq!(range(Some(40.0), Some(50.0)), TimeRange { frames: 1..2, start: 40.0, end: 50.0 });
            assert_eq!(range(Some(225.0), None), TimeRange { frames: 7..8, start: 225.0, end: 240.0 });
            assert_eq!(range(Some(30.0), Some(60.0)).frames, 1..2);
            assert_eq!(range(Some(-5.0), Some(31.0)), TimeRange { frames: 0..2, start: 0.0, end: 31.0 });
            assert_eq!(range(None, None), TimeRange { frames: 0..8, start: 0.0, end: 240.0 });
            let part = video.part(&range(Some(70.0), Some(130.0)));
            assert_eq!((part.len(), part.start_of(2), part.end()), (3, 60.0, 70.0));
        }
    }

    #[test]
    fn what_is_outside_is_an_error_with_the_length() {
        let error = |start, end| slides(50).range(start, end).unwrap_err().to_string();
        assert_eq!(
            error(Some(240.0), None),
            "no frame from 240 s on; the video lasts 240 s, counted from its first frame"
        );
        assert!(error(None, Some(0.0)).starts_with("no frame before 0 s; "));
        assert!(error(Some(300.0), Some(310.0)).starts_with("no frame between 300 s and 310 s; "));
        assert!(error(Some(3.0), Some(3.0)).contains("is not before"));
        assert!(error(Some(f64::NAN), None).contains("is not before"));
        assert_eq!(
            Timeline::new(Vec::new(), 1.0).range(None, None).unwrap_err().to_string(),
            "the video has no frames"
        );
    }

    #[test]
    fn a_frame_without_a_length_is_on_screen_at_its_start() {
        let one = Timeline::new([Time::new(90_000, 90_000)], 0.0);
        assert_eq!((one.end(), one.range(None, None).unwrap().frames), (0.0, 0..1));
        assert_eq!(one.range(Some(0.0), None).unwrap().frames, 0..1);
        assert!(one.range(Some(0.5), None).is_err());
    }

    #[test]
    fn frames_at_equal_distances_have_a_constant_step() {
        let ntsc: Vec<Time> = (0..300).map(|n| Time::new(1001 * n, 30_000)).collect();
        let step_of = |times: &[Time], end: f64| {
            let video = Timeline::new(times.to_vec(), end);
            video.constant_step(&video.range(None, None).unwrap())
        };
        assert!((step_of(&ntsc, 10.01).unwrap() - 1001.0 / 30_000.0).abs() < 1e-12);
        assert_eq!(step_of(&ntsc, 12.0), None, "a still at the end");
        assert_eq!(step_of(&[&ntsc[..40], &ntsc[41..]].concat(), 10.01), None, "a frame that is missing");
        assert_eq!((step_of(&ntsc[..1], 3.0), step_of(&ntsc[..1], 0.0)), (Some(3.0), Some(0.0)));
    }

    #[test]
    fn clocks_of_several_scales_are_compared_exactly() {
        let mixed = Timeline::new([Time::new(1, 3), Time::new(400, 600), Time::new(2, 1)], 3.0);
        assert_eq!(mixed.exact_start_of(1), (600, 1800));
        assert_eq!((mixed.start_of(1), mixed.on_screen(1.0 / 3.0)), (1.0 / 3.0, 1));
    }
}
