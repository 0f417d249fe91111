//! Which frames of a video stand for it: rules that several families' references have.
//!
//! The references count frames, which is the same as time where frames come at a constant rate. Elsewhere counting
//! would take most frames from where they are dense, so there the rules space moments evenly and take the frame on
//! screen at each. A frame that is taken again is stamped with that moment. No rule takes more frames than there are.

use crate::contract::media_plan::{MediaMetadata, PlannedFrame};
use crate::contract::timeline::TimeRange;

/// The first frame of each of `n` equal windows: number `i * total / n` (transformers' `sample_frames`). At least one
/// frame, at most those of the range.
pub fn window_starts(media: &MediaMetadata, range: &TimeRange, n: usize) -> Vec<PlannedFrame> {
    let total = range.frames.len();
    let n = n.clamp(1, total.max(1));
    let seconds = range.end - range.start;
    let moment = |i: usize| range.start + i as f64 * seconds / n as f64;
    planned(media, range, (0..n).map(|i| (i * total / n, moment(i))))
}

/// `n` frames from the first to the last of the range: numbers `linspace(0, total - 1, n)`, truncated.
pub fn first_to_last(media: &MediaMetadata, range: &TimeRange, n: usize) -> Vec<PlannedFrame> {
    let total = range.frames.len();
    let n = n.clamp(1, total.max(1));
    let last = media.timeline.start_of(range.frames.end - 1).max(range.start);
    let step = (last - range.start) / n.saturating_sub(1).max(1) as f64;
    let moment = |i: usize| if i + 1 == n && n > 1 { last } else { range.start + i as f64 * step };
    planned(media, range, linspace(total as u64, n).enumerate().map(|(i, number)| (number as usize, moment(i))))
}

/// Every `round(rate / fps)`-th frame of the range from the first on. Where that would be more than `most` frames,
/// [`first_to_last`].
pub fn every_nth(media: &MediaMetadata, range: &TimeRange, fps: f64, most: usize) -> Vec<PlannedFrame> {
    let (video, total) = (&media.timeline, range.frames.len());
    let length = video.start_of(range.frames.end - 1) - video.start_of(range.frames.start);
    let constant = video.constant_step(range).is_some();
    let nth = if length > 0.0 { (total - 1) as f64 / length / fps } else { 1.0 };
    // A rate is known as exactly as the clock's ticks say; what may be a tie counts as one.
    let (tie, error) = (nth.floor() + 0.5, nth * video.tick_of(range.frames.start) / length.max(1e-9) + 1e-6);
    let nth = if (nth - tie).abs() <= error { tie } else { nth };
    let nth = (nth.round_ties_even().max(1.0) as usize).min(total);
    let moments = ((range.end - range.start) * fps - 1e-6).ceil().max(1.0);
    let count = if constant { total.div_ceil(nth) as f64 } else { moments };
    if count > most.min(total) as f64 {
        return first_to_last(media, range, most);
    }
    planned(media, range, (0..count as usize).map(|i| (i * nth, range.start + i as f64 / fps)))
}

/// How many frames a range has at `fps` frames per second, unrounded.
pub fn frames_at_rate(range: &TimeRange, fps: f64) -> f64 {
    let (total, seconds) = (range.frames.len() as f64, range.end - range.start);
    let rate = if seconds > 0.0 { total / seconds } else { 1.0 };
    total / rate * fps
}

/// `linspace(0, n - 1, count)` truncated, as numpy computes it; `n` is positive.
pub fn linspace(n: u64, count: usize) -> impl Iterator<Item = u64> {
    let last = n.saturating_sub(1);
    let step = last as f64 / count.saturating_sub(1).max(1) as f64;
    (0..count).map(move |i| if i + 1 == count && count > 1 { last } else { ((i as f64 * step) as u64).min(last) })
}

/// For each (number in the range, moment): the frame of that number where the rate is constant, the one on screen at
/// that moment elsewhere.
fn planned(media: &MediaMetadata, range: &TimeRange, picks: impl Iterator<Item = (usize, f64)>) -> Vec<PlannedFrame> {
    let video = &media.timeline;
    let constant = range.end <= range.start || video.constant_step(range).is_some();
    let mut last = None;
    let frame = |(number, moment): (usize, f64)| {
        let index = if constant { range.frames.start + number } else { video.on_screen(moment) };
        let own = video.start_of(index).max(range.start);
        let again = last.replace(index) == Some(index);
        media.planned_frame(index, if again { moment } else { own })
    };
    picks.map(frame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::media_plan::PlanOptions;
    use zoetrope_media::Time;

    fn video(starts: impl Iterator<Item = i64>, end: f64) -> (MediaMetadata, TimeRange) {
        let media = MediaMetadata::video((8, 8), starts.map(|ms| Time::new(ms, 1000)).collect::<Vec<_>>(), end);
        let range = media.range(&PlanOptions::default()).unwrap();
        (media, range)
    }

    fn indices(frames: &[PlannedFrame]) -> Vec<usize> {
        frames.iter().map(|frame| frame.index).collect()
    }

    #[test]
    fn frames_are_counted_where_they_come_at_a_constant_rate() {
        let (media, range) = video((0..250).map(|n| 40 * n), 10.0);
        assert_eq!(indices(&window_starts(&media, &range, 4)), [0, 62, 125, 187]);
        assert_eq!(indices(&first_to_last(&media, &range, 4)), [0, 83, 166, 249]);
        assert_eq!(indices(&first_to_last(&media, &range, 1)), [0]);
        assert_eq!(indices(&every_nth(&media, &range, 1.0, 32)), (0..10).map(|n| 25 * n).collect::<Vec<_>>());
        assert_eq!(indices(&every_nth(&media, &range, 1.0, 4)), [0, 83, 166, 249]);
        // 25 / 4 = 6.25 and 25 / 10 = 2.5: rounded, halves to even.
        assert_eq!(indices(&every_nth(&media, &range, 4.0, 99))[..3], [0, 6, 12]);
        assert_eq!(indices(&every_nth(&media, &range, 10.0, 199))[..3], [0, 2, 4]);
        let (odd, whole) = video((0..45).map(|n| (n * 100 + 1) / 3), 1.5);
        assert_eq!(indices(&every_nth(&odd, &whole, 4.0, 99)), [0, 8, 16, 24, 32, 40]);
        assert_eq!(every_nth(&media, &range, 500.0, 1000).len(), 250);
        assert_eq!(frames_at_rate(&range, 2.0), 20.0);
    }

    #[test]
    fn moments_are_spaced_evenly_where_the_rate_varies() {
        let (media, range) = video((0..100).map(|n| 10 * n).chain([5000, 10_000]), 20.0);
        assert_eq!(indices(&window_starts(&media, &range, 4)), [0, 100, 101, 101]);
        assert_eq!(indices(&first_to_last(&media, &range, 3)), [0, 100, 101]);
        let frames = every_nth(&media, &range, 0.2, 32);
        assert_eq!(indices(&frames), [0, 100, 101, 101]);
        assert!(frames.is_sorted_by(|a, b| a.prompt_time < b.prompt_time));
        assert_eq!(every_nth(&media, &range, 1e9, usize::MAX).len(), 102);
    }

    #[test]
    fn there_are_never_more_than_there_are_frames() {
        let (media, range) = video(0..1, 3.0);
        for frames in [window_starts(&media, &range, 9), first_to_last(&media, &range, 9)] {
            assert_eq!(indices(&frames), [0]);
        }
        assert_eq!(indices(&every_nth(&media, &range, 1.0, 9)), [0]);
    }
}
