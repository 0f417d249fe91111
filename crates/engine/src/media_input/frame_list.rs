//! Frames that a caller has chosen from a film: all of them are shown, at their own times.

use zoetrope_models::contract::media_plan::{MediaMetadata, MediaPlan, PlanOptions};

use super::source::{FrameIter, InMemory, MediaSource};
use zoetrope_models::error::ModelResult;

/// Frames that were chosen already: no rule of sampling applies to them.
#[derive(Clone, Debug)]
pub struct FrameList(pub InMemory);

impl MediaSource for FrameList {
    fn metadata(&self) -> MediaMetadata {
        self.0.metadata()
    }

    fn is_chosen(&self) -> bool {
        true
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        self.0.frames(indices)
    }
}

/// Chosen frames as a planner is to see them: one a second, so that the model's rule takes every one of those that the
/// caller's `start` and `end` leave. With them come the options to plan with, and the first frame's number.
pub(crate) fn as_one_a_second(
    metadata: &MediaMetadata,
    options: &PlanOptions,
) -> ModelResult<(MediaMetadata, PlanOptions, usize)> {
    let range = metadata.range(options)?;
    let count = range.frames.len();
    let times: Vec<_> = (0..count).map(|second| zoetrope_media::Time::new(second as i64, 1)).collect();
    let even = MediaMetadata::video(metadata.size(), times, count as f64);
    let options = PlanOptions { fps: Some(1.0), start: None, end: None, ..options.clone() };
    Ok((even, options, range.frames.start))
}

/// Puts the frames' own times into a plan that was made of them as one a second.
pub(crate) fn with_own_times(plan: &mut MediaPlan, metadata: &MediaMetadata, first: usize) {
    for frame in &mut plan.frames {
        let index = first + frame.index;
        *frame = metadata.planned_frame(index, metadata.timeline.start_of(index));
    }
}
