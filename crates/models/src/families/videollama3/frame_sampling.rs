//! Which frames of a video the model sees and which times it is told. Exact where the source's ticks are.

use std::ops::Range;

use zoetrope_media::Time;

use super::config::{Convention, ProcessorConfig};
use crate::contract::media_plan::{MediaMetadata, PlanOptions, PlannedFrame};
use crate::error::ModelError;

/// The one frame of a picture.
pub(super) fn still() -> Vec<PlannedFrame> {
    vec![PlannedFrame { index: 0, time: 0.0, prompt_time: 0.0 }]
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
    let window = Window::of(media, options)?;
    let mut frames = match c.convention {
        Convention::Original => slots(&window, fps),
        Convention::Transformers => windows(&window, fps, c.min_frames, max),
    };
    if frames.is_empty() {
        frames = vec![window.middle()];
    }
    Ok(if frames.len() > max { thin(&frames, max) } else { frames })
}

/// The part of a video that the caller asked for.
struct Window<'a> {
    media: &'a MediaMetadata,
    /// Frames of the window, as indices into the whole video.
    frames: Range<usize>,
    /// First second of the window: what was asked, or the first frame's time when that is later.
    start: f64,
    /// End of the window in seconds.
    end: f64,
}

impl<'a> Window<'a> {
    fn of(media: &'a MediaMetadata, options: &PlanOptions) -> Result<Self, ModelError> {
        let (Some(first_time), Some(last_time)) = (media.times.first(), media.times.last()) else {
            return Err(ModelError::Caller("the video has no frames".to_string()));
        };
        let start = options.start.unwrap_or(f64::NEG_INFINITY);
        let end = options.end.unwrap_or(f64::INFINITY);
        if start >= end {
            return Err(ModelError::Caller(format!("the start, {start} s, is not before the end, {end} s")));
        }
        let first = media.times.partition_point(|t| t.seconds() < start);
        let last = media.times.partition_point(|t| t.seconds() < end);
        if first >= last {
            let (from, to) = (first_time.seconds(), last_time.seconds());
            let asked = match (options.start, options.end) {
                (Some(start), None) => format!("from {start} s on"),
                (None, Some(end)) => format!("before {end} s"),
                _ => format!("between {start} s and {end} s"),
            };
            let text = format!("no frame {asked}; the video's frames run from {from} s to {to} s");
            return Err(ModelError::Caller(text));
        }
        let begin = start.max(first_time.seconds());
        let end = end.min(media.end.max(last_time.seconds()));
        Ok(Window { media, frames: first..last, start: begin, end })
    }

    fn frame(&self, index: usize, prompt_time: Option<f64>) -> PlannedFrame {
        let time = self.media.times[index].seconds();
        PlannedFrame { index, time, prompt_time: prompt_time.unwrap_or(time) }
    }

    fn middle(&self) -> PlannedFrame {
        self.frame(self.frames.start + self.frames.len() / 2, None)
    }
}

/// Number of the slot of length 1/fps that `t` falls in, counted from `origin`.
fn slot(t: Time, origin: Time, fps: f64) -> i64 {
    let Some((num, den)) = exact(fps) else {
        return ((t.seconds() - origin.seconds()) * fps + 1e-9).floor() as i64;
    };
    // (t - origin) * fps, floored, in integers.
    let scale = i128::from(t.scale) * i128::from(origin.scale);
    let ticks = i128::from(t.ticks) * i128::from(origin.scale) - i128::from(origin.ticks) * i128::from(t.scale);
    (ticks * i128::from(num)).div_euclid(scale * i128::from(den)) as i64
}

/// `fps` as a fraction of whole thousandths, when it is one.
fn exact(fps: f64) -> Option<(u32, u32)> {
    let num = (fps * 1000.0).round();
    ((num / 1000.0 - fps).abs() < 1e-12 && num < 1e9).then_some((num as u32, 1000))
}

/// FFmpeg's `fps=F:round=down`: each whole slot of 1/F seconds, counted from the video's first frame, gives the last
/// frame at or before its end (a gap repeats a frame). A trim keeps the slots that begin inside it, but, as in the
/// reference, the stamps count from the asked start. A video shorter than one slot gives nothing.
fn slots(window: &Window<'_>, fps: f64) -> Vec<PlannedFrame> {
    let times = &window.media.times;
    let first = times[0];
    let count = ((window.media.end - first.seconds()) * fps + 1e-9).floor().max(0.0) as i64;
    let (mut frames, mut next) = (Vec::new(), 0);
    for k in 0..count {
        while next < times.len() && slot(times[next], first, fps) <= k {
            next += 1;
        }
        let begin = first.seconds() + k as f64 / fps;
        if begin + 1e-9 >= window.start && begin + 1e-9 < window.end {
            let prompt_time = window.start + frames.len() as f64 / fps;
            frames.push(window.frame(next.saturating_sub(1), Some(prompt_time)));
        }
    }
    frames
}

/// transformers' `sample_frames`: the first frame of each of `n` equal windows, stamped with its own time.
fn windows(window: &Window<'_>, fps: f64, min: usize, max: usize) -> Vec<PlannedFrame> {
    let total = window.frames.len();
    let seconds = window.end - window.start;
    let vfps = if seconds > 0.0 { total as f64 / seconds } else { 1.0 };
    let n = (total as f64 / vfps * fps).max(min as f64).min(max.min(total) as f64);
    // An average rate is rarely exact to the last bit; a frame is not lost over 1e-6.
    let n = (n + 1e-6).floor().max(1.0) as usize;
    (0..n).map(|i| window.frame(window.frames.start + i * total / n, None)).collect()
}

/// `linspace(0, n - 1, max)` truncated, as numpy computes it.
fn thin(frames: &[PlannedFrame], max: usize) -> Vec<PlannedFrame> {
    let last = frames.len() - 1;
    if max == 1 {
        return vec![frames[0].clone()];
    }
    let step = last as f64 / (max - 1) as f64;
    let index = |i: usize| if i == max - 1 { last } else { (i as f64 * step) as usize };
    (0..max).map(|i| frames[index(i).min(last)].clone()).collect()
}
