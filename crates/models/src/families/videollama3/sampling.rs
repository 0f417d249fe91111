//! Which frames of a video the model sees and which times it is told. Exact where the source's ticks are.

use zoetrope_media::Time;

use super::config::{Convention, ProcessorConfig};
use crate::contract::{PlanOptions, PlannedFrame, Source};
use crate::error::ModelError;

/// The one frame of a picture.
pub(super) fn still() -> Vec<PlannedFrame> {
    vec![PlannedFrame { index: 0, time: 0.0, stamp: 0.0 }]
}

/// The frames of a video.
pub(super) fn frames(c: &ProcessorConfig, source: &Source, options: &PlanOptions) -> Result<Vec<PlannedFrame>, ModelError> {
    let fps = options.fps.unwrap_or(c.fps);
    let max = options.max_frames.unwrap_or(c.max_frames);
    if !fps.is_finite() || fps <= 0.0 || max == 0 {
        return Err(ModelError::Caller(format!("cannot sample {fps} frames a second, at most {max}")));
    }
    let window = Window::of(source, options)?;
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
    /// Index of the first frame of the window in the whole video.
    first: usize,
    times: &'a [Time],
    start: f64,
    end: f64,
    /// Start as an exact time when it is a frame's.
    origin: Option<Time>,
}

impl<'a> Window<'a> {
    fn of(source: &'a Source, options: &PlanOptions) -> Result<Self, ModelError> {
        let (Some(first_time), Some(last_time)) = (source.times.first(), source.times.last()) else {
            return Err(ModelError::Caller("the video has no frames".to_string()));
        };
        let start = options.start.unwrap_or(f64::NEG_INFINITY);
        let end = options.end.unwrap_or(f64::INFINITY);
        if start >= end {
            return Err(ModelError::Caller(format!("the start, {start} s, is not before the end, {end} s")));
        }
        let first = source.times.partition_point(|t| t.seconds() < start);
        let last = source.times.partition_point(|t| t.seconds() < end);
        if first >= last {
            let (from, to) = (first_time.seconds(), last_time.seconds());
            let text = format!("no frame between {start} s and {end} s; the video's frames run from {from} s to {to} s");
            return Err(ModelError::Caller(text));
        }
        let begins = start > first_time.seconds();
        Ok(Window {
            first,
            times: &source.times[first..last],
            start: if begins { start } else { first_time.seconds() },
            end: end.min(source.end.max(last_time.seconds())),
            origin: (!begins).then_some(*first_time),
        })
    }

    fn middle(&self) -> PlannedFrame {
        let i = self.times.len() / 2;
        let time = self.times[i].seconds();
        PlannedFrame { index: self.first + i, time, stamp: time }
    }

    /// Number of the slot of length 1/fps that time `t` falls in, counted from the start of the window.
    fn slot(&self, t: Time, fps: f64) -> i64 {
        match (self.origin, exact(fps)) {
            (Some(origin), Some((num, den))) => {
                // (t - origin) * fps, floored, in integers.
                let scale = i128::from(t.scale) * i128::from(origin.scale);
                let ticks = i128::from(t.ticks) * i128::from(origin.scale)
                    - i128::from(origin.ticks) * i128::from(t.scale);
                (ticks * i128::from(num)).div_euclid(scale * i128::from(den)) as i64
            }
            _ => ((t.seconds() - self.start) * fps + 1e-9).floor() as i64,
        }
    }
}

/// `fps` as a fraction of whole thousandths, when it is one.
fn exact(fps: f64) -> Option<(u32, u32)> {
    let num = (fps * 1000.0).round();
    ((num / 1000.0 - fps).abs() < 1e-12 && num < 1e9).then_some((num as u32, 1000))
}

/// FFmpeg's `fps=F:round=down`: each whole slot of 1/F seconds gives the last frame at or before its end, and is
/// stamped with its start. A video shorter than one slot gives nothing (the caller then takes its middle frame).
fn slots(window: &Window<'_>, fps: f64) -> Vec<PlannedFrame> {
    let count = ((window.end - window.start) * fps + 1e-9).floor().max(0.0) as i64;
    let mut frames = Vec::new();
    let mut next = 0;
    for k in 0..count {
        while next < window.times.len() && window.slot(window.times[next], fps) <= k {
            next += 1;
        }
        let i = next.saturating_sub(1);
        let stamp = window.start + k as f64 / fps;
        frames.push(PlannedFrame { index: window.first + i, time: window.times[i].seconds(), stamp });
    }
    frames
}

/// transformers' `sample_frames`: the first frame of each of `n` equal windows, stamped with its own time.
fn windows(window: &Window<'_>, fps: f64, min: usize, max: usize) -> Vec<PlannedFrame> {
    let total = window.times.len();
    let seconds = window.end - window.start;
    let vfps = if seconds > 0.0 { total as f64 / seconds } else { 1.0 };
    let n = (total as f64 / vfps * fps).max(min as f64).min(max.min(total) as f64);
    // An average rate is rarely exact to the last bit; a frame is not lost over 1e-6.
    let n = (n + 1e-6).floor().max(1.0);
    let step = (total as f64 / n) as f32;
    (0..n as usize)
        .map(|i| {
            let at = ((i as f32 * step) as usize).min(total - 1);
            let time = window.times[at].seconds();
            PlannedFrame { index: window.first + at, time, stamp: time }
        })
        .collect()
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
