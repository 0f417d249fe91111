//! Which frames of a video the model sees: one a second, however long it is.

use crate::contract::media_plan::{MediaMetadata, PlanOptions, PlannedFrame};
use crate::error::{ModelError, ModelResult};

/// Frames per second that all checkpoints were trained with.
pub(super) const FPS: f64 = 1.0;

/// The frames of a video, before any limit.
///
/// The reference takes every `round(rate / fps)`-th frame, where Python rounds halves to even; a rate of half a frame
/// or less would make that 0, and it fails. That is done here for a constant rate, with a step of 1 at least. Elsewhere
/// it would take most frames from where they are dense, so there the frame on screen at every `1 / fps` seconds is taken.
pub(super) fn frames(media: &MediaMetadata, options: &PlanOptions) -> ModelResult<Vec<PlannedFrame>> {
    let fps = options.fps.unwrap_or(FPS);
    if !(fps > 0.0 && fps.is_finite()) || options.max_frames == Some(0) {
        let text = format!("cannot sample {fps} frames per second, at most {:?}", options.max_frames);
        return Err(ModelError::Caller(text));
    }
    let (video, range) = (&media.timeline, media.range(options)?);
    let frame = |index: usize| media.planned_frame(index, video.start_of(index).max(range.start));
    if let Some(seconds) = video.constant_step(&range) {
        return Ok(range.frames.step_by(step(seconds, fps)).map(frame).collect());
    }
    let mut frames = vec![media.planned_frame(range.frames.start, range.start)];
    let mut slot = 1.0;
    for index in range.frames.skip(1) {
        // The first slot at whose start this frame is on screen, if it is not over before that.
        slot = ((video.start_of(index) - range.start) * fps - 1e-9).ceil().max(slot);
        let moment = range.start + slot / fps;
        if moment < range.end && video.on_screen(moment) == index {
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

/// At most `most` of `frames`, spread over all of them.
pub(super) fn thinned(frames: Vec<PlannedFrame>, most: usize) -> Vec<PlannedFrame> {
    let n = frames.len();
    if n <= most {
        return frames;
    }
    (0..most).map(|at| frames[at * n / most].clone()).collect()
}
