//! Which frames of a video the model sees and which times it is told. Exact where the source's ticks are.

use super::config::{Convention, ProcessorConfig};
use crate::contract::media_plan::{MediaMetadata, PlanOptions, PlannedFrame};
use crate::contract::timeline::{TimeRange, Timeline};
use crate::error::ModelError;

/// The one frame of a picture.
pub(super) fn still(media: &MediaMetadata) -> Vec<PlannedFrame> {
    vec![media.planned_frame(0, 0.0)]
}

/// The frames of a video.
pub(super) fn frames(
    c: &ProcessorConfig,
    media: &MediaMetadata,
    options: &PlanOptions,
) -> Result<Vec<PlannedFrame>, ModelError> {
    let fps = options.fps.unwrap_or(c.fps);
    let max = options.max_frames.unwrap_or(c.max_frames);
    if !fps.is_finite() || fps <= 0.0 || max == 0 {
        return Err(ModelError::Caller(format!("cannot sample {fps} frames per second, at most {max}")));
    }
    let range = media.range(options)?;
    Ok(match c.convention {
        Convention::Original => slots(media, &range, fps, max),
        Convention::Transformers => windows(media, &range, fps, c.min_frames, max),
    })
}

/// FFmpeg's `fps=F:round=down`: each whole slot of 1/F seconds, counted from the video's first frame, gives the last
/// frame at or before its end (a gap repeats a frame). A trim keeps the slots that begin inside it, but, as in the
/// reference, the stamps count from the asked start. A video shorter than one slot gives the frame in its middle.
fn slots(media: &MediaMetadata, range: &TimeRange, fps: f64, max: usize) -> Vec<PlannedFrame> {
    let video = &media.timeline;
    let begins_before = |moment: f64| (((moment - 1e-9) * fps).ceil().max(0.0)) as u64;
    let whole = (video.end() * fps + 1e-9).floor().max(0.0) as u64;
    let first = begins_before(range.start);
    let count = begins_before(range.end).min(whole).saturating_sub(first);
    if count == 0 {
        let middle = video.on_screen(range.start + (range.end - range.start) / 2.0);
        return vec![media.planned_frame(middle, range.start.max(video.start_of(middle)))];
    }
    let frame = |n: u64| {
        let index = last_of_slot(video, first.saturating_add(n), fps);
        media.planned_frame(index, range.start + n as f64 / fps)
    };
    if count <= max as u64 { (0..count).map(frame).collect() } else { spread(count, max).map(frame).collect() }
}

/// The last frame that starts in slot number `number` of length 1/fps or before it.
fn last_of_slot(video: &Timeline, number: u64, fps: f64) -> usize {
    // Where the moment is not exact in floats, the frame beside it may be meant.
    let mut index = video.on_screen(number.saturating_add(1) as f64 / fps);
    while index > 0 && slot(video, index, fps) > i128::from(number) {
        index -= 1;
    }
    index
}

/// Number of the slot of length 1/fps that frame `index` starts in.
fn slot(video: &Timeline, index: usize, fps: f64) -> i128 {
    let Some((num, den)) = exact(fps) else {
        return (video.start_of(index) * fps + 1e-9).floor() as i128;
    };
    // start * fps, floored, in integers.
    let (ticks, scale) = video.exact_start_of(index);
    (ticks * i128::from(num)).div_euclid(scale * i128::from(den))
}

/// `fps` as a fraction of whole thousandths, when it is one.
fn exact(fps: f64) -> Option<(u32, u32)> {
    let num = (fps * 1000.0).round();
    ((num / 1000.0 - fps).abs() < 1e-12 && num < 1e9).then_some((num as u32, 1000))
}

/// transformers' `sample_frames`: the first frame of each of `n` equal windows, stamped with its own time.
///
/// The reference counts frames, which is the same as time where they come at a constant rate. Elsewhere it would take
/// most frames from where they are dense; here the windows are equal in time, and each gives the frame on screen at its
/// start. One that is there again is stamped with that moment.
fn windows(media: &MediaMetadata, range: &TimeRange, fps: f64, min: usize, max: usize) -> Vec<PlannedFrame> {
    let (video, total) = (&media.timeline, range.frames.len());
    let seconds = range.end - range.start;
    let vfps = if seconds > 0.0 { total as f64 / seconds } else { 1.0 };
    let n = (total as f64 / vfps * fps).max(min as f64).min(max.min(total) as f64);
    // An average rate is rarely exact to the last bit; a frame is not lost over 1e-6.
    let n = (n + 1e-6).floor().max(1.0) as usize;
    let constant = seconds <= 0.0 || video.constant_step(range).is_some();
    let mut last = None;
    let frame = |i: usize| {
        let moment = range.start + i as f64 * seconds / n as f64;
        let index = if constant { range.frames.start + i * total / n } else { video.on_screen(moment) };
        let own = video.start_of(index).max(range.start);
        let again = last.replace(index) == Some(index);
        media.planned_frame(index, if again { moment } else { own })
    };
    (0..n).map(frame).collect()
}

/// `linspace(0, n - 1, max)` truncated, as numpy computes it; `max` is below `n`.
fn spread(n: u64, max: usize) -> impl Iterator<Item = u64> {
    let last = n - 1;
    let step = last as f64 / max.saturating_sub(1).max(1) as f64;
    (0..max).map(move |i| if i + 1 == max && max > 1 { last } else { ((i as f64 * step) as u64).min(last) })
}
