//! Which frames of a video the model sees, and which times it is told.

use super::config::Sampling;
use crate::contract::media_plan::{MediaMetadata, PlanOptions, PlannedFrame};
use crate::contract::timeline::{TimeRange, Timeline};
use crate::error::{ModelError, ModelResult};

/// Seconds that [`Sampling::Uniform`] spreads over.
const UNIFORM_SECONDS: f64 = 60.0;

/// At most `most` frames of a video.
pub(super) fn frames(
    sampling: Sampling,
    media: &MediaMetadata,
    options: &PlanOptions,
    most: usize,
) -> ModelResult<Vec<PlannedFrame>> {
    if options.fps.is_some_and(|fps| !fps.is_finite() || fps <= 0.0) || most == 0 {
        let text = format!("cannot sample {:?} frames per second, at most {most}", options.fps);
        return Err(ModelError::Caller(text));
    }
    let range = media.range(options)?;
    Ok(match sampling {
        Sampling::Seconds => every_second(media, &range, options.fps.unwrap_or(1.0), most),
        Sampling::Uniform => spread(media, &first_minute(&media.timeline, &range), options.fps, most),
        // No rule of the authors: a short clip is not shown several times.
        Sampling::Whole => spread(media, &range, options.fps, most.min(range.frames.len())),
    })
}

/// The authors' `chat` sampling: at each second from the first frame on, up to the one that is nearest to the last
/// frame's start, the frame that starts nearest to it. Seconds of a part count from its start; with another rate they
/// are steps of `1 / fps`.
fn every_second(media: &MediaMetadata, range: &TimeRange, fps: f64, most: usize) -> Vec<PlannedFrame> {
    let video = &media.timeline;
    let last = video.start_of(range.frames.end - 1);
    let steps = ((last - range.start).max(0.0) * fps).round_ties_even();
    let count = (steps + 1.0).min(most as f64) as usize;
    let frame = |step: usize| {
        let moment = range.start + step as f64 / fps;
        media.planned_frame(nearest(video, range, moment), moment)
    };
    (0..count).map(frame).collect()
}

/// The frame of a range that starts nearest to a moment; the first of several.
fn nearest(video: &Timeline, range: &TimeRange, moment: f64) -> usize {
    let (first, end) = (range.frames.start, range.frames.end);
    let before = video.on_screen(moment).clamp(first, end - 1);
    let distance = |index: usize| (video.start_of(index) - moment).abs();
    let after = before + 1 < end && distance(before + 1) < distance(before);
    let mut index = if after { before + 1 } else { before };
    while index > first && video.start_of(index - 1) == video.start_of(index) {
        index -= 1;
    }
    index
}

/// What of a range the authors' `base` sampling spreads over. Of frames at a constant rate it takes as many
/// as 60 seconds have, rounded down, which may be one less than start in them.
fn first_minute(video: &Timeline, range: &TimeRange) -> TimeRange {
    let end = range.start + UNIFORM_SECONDS;
    if range.end <= end {
        return range.clone();
    }
    let (first, last) = (range.frames.start, range.frames.end - 1);
    let frames = if last > first && video.constant_step(range).is_some() {
        let seconds = video.start_of(last) - video.start_of(first);
        let in_minute = UNIFORM_SECONDS * (last - first) as f64 / seconds;
        // Times in ticks give the rate only so exactly.
        let rounding = in_minute * video.tick_of(first).min(1e-3) / seconds;
        (in_minute + rounding).floor().max(1.0) as usize
    } else {
        video.range(Some(range.start), Some(end)).map_or(1, |minute| minute.frames.len())
    };
    let frames = first..range.frames.end.min(first.saturating_add(frames));
    TimeRange { frames, start: range.start, end }
}

/// `linspace(0, frames - 1, n)`, truncated: the authors' `base` sampling. A video of fewer frames repeats some.
///
/// The authors count frames, which is the same as time where they come at a constant rate. Elsewhere that would take
/// most frames from where they are dense; there the moments are spread, and each gives the frame on screen.
fn spread(media: &MediaMetadata, range: &TimeRange, fps: Option<f64>, most: usize) -> Vec<PlannedFrame> {
    let (video, total) = (&media.timeline, range.frames.len());
    let wanted = fps.map_or(most as f64, |fps| ((range.end - range.start) * fps).round_ties_even());
    let n = wanted.clamp(1.0, most as f64) as usize;
    let gaps = n.saturating_sub(1).max(1) as f64;
    let (begin, last) = (range.start, video.start_of(range.frames.end - 1).max(range.start));
    let constant = video.constant_step(range).is_some();
    let step = (total - 1) as f64 / gaps;
    let mut before = None;
    let frame = |i: usize| {
        let moment = begin + i as f64 * (last - begin) / gaps;
        let index = match constant {
            true if i + 1 == n && n > 1 => range.frames.end - 1,
            true => range.frames.start + ((i as f64 * step) as usize).min(total - 1),
            false => video.on_screen(moment).clamp(range.frames.start, range.frames.end - 1),
        };
        let own = video.start_of(index).max(begin);
        let again = before.replace(index) == Some(index);
        media.planned_frame(index, if again { moment } else { own })
    };
    (0..n).map(frame).collect()
}
