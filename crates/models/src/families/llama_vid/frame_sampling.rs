//! Which frames of a video the model sees: one a second, however long it is.

use crate::contract::media_plan::{MediaMetadata, PlanOptions, PlannedFrame};
use crate::error::{ModelError, ModelResult};

/// Frames per second that all checkpoints were trained with.
const FPS: f64 = 1.0;

/// At most `most` frames of a video, spread over all of it.
///
/// The reference takes every `round(rate / fps)`-th frame, where Python rounds halves to even; a rate of half a frame
/// or less would make that 0, and it fails. That is done here for a constant rate, with a step of 1 at least. Elsewhere
/// it would take most frames from where they are dense, so there the frame on screen at every `1 / fps` seconds is
/// taken.
pub(super) fn frames(media: &MediaMetadata, options: &PlanOptions, most: usize) -> ModelResult<Vec<PlannedFrame>> {
    let fps = options.fps.unwrap_or(FPS);
    if !(fps > 0.0 && fps.is_finite()) || most == 0 {
        return Err(ModelError::Caller(format!("cannot sample {fps} frames per second, at most {most}")));
    }
    let (video, range) = (&media.timeline, media.range(options)?);
    if let Some(seconds) = video.constant_step(&range) {
        let frame = |index: usize| media.planned_frame(index, video.start_of(index).max(range.start));
        let step = step(seconds, fps);
        let (first, taken) = (range.frames.start, range.frames.len().div_ceil(step));
        let kept = taken.min(most);
        return Ok((0..kept).map(|at| frame(first + at * taken / kept * step)).collect());
    }
    let seconds = range.end - range.start;
    let fps = if seconds * fps > most as f64 { most as f64 / seconds } else { fps };
    let mut frames = vec![media.planned_frame(range.frames.start, range.start)];
    let mut slot = 1.0;
    for index in range.frames.skip(1) {
        // The first slot at whose start this frame is on screen, if it is not over before that.
        slot = ((video.start_of(index) - range.start) * fps - 1e-9).ceil().max(slot);
        let moment = range.start + slot / fps;
        if frames.len() < most && moment < range.end && video.on_screen(moment) == index {
            frames.push(media.planned_frame(index, moment));
            slot += 1.0;
        }
    }
    Ok(frames)
}

/// Frames from one that is taken to the next, of a video with a frame every `seconds`.
fn step(seconds: f64, fps: f64) -> usize {
    // An average rate is rarely exact to the last bit, and halves go to even.
    let rate = (1e6 / (seconds * fps)).round() / 1e6;
    if seconds > 0.0 { (rate.round_ties_even() as usize).max(1) } else { 1 }
}
