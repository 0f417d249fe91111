//! Which frames of a video the model sees and which times it is told. Exact where the source's ticks are.

use super::config::{Convention, ProcessorConfig};
use crate::contract::media_plan::{MediaMetadata, PlanOptions, PlannedFrame};
use crate::contract::timeline::{TimeRange, Timeline};
use crate::error::ModelError;
use crate::processing::{frames_at_rate, linspace, window_starts};

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
    if count <= max as u64 { (0..count).map(frame).collect() } else { linspace(count, max).map(frame).collect() }
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
fn windows(media: &MediaMetadata, range: &TimeRange, fps: f64, min: usize, max: usize) -> Vec<PlannedFrame> {
    let n = frames_at_rate(range, fps).max(min as f64).min(max.min(range.frames.len()) as f64);
    // An average rate is rarely exact to the last bit; a frame is not lost over 1e-6.
    window_starts(media, range, (n + 1e-6).floor() as usize)
}
