//! Frames that a caller has chosen from a film: all of them are shown, at their own times.

use std::sync::Arc;

use zoetrope_models::contract::Processor;
use zoetrope_models::contract::media_plan::{MediaMetadata, MediaPlan, PlanOptions};
use zoetrope_models::error::ModelResult;

use super::source::{FrameIter, InMemory, MediaSource};

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

/// Plans of `sources` after those of `earlier` turns: frames that were chosen already are all shown, the model's rule
/// of sampling applies to everything else. Subtitles are not looked for.
///
/// # Errors
/// What [`Processor::plan`] refuses.
pub fn plan_sources(
    processor: &dyn Processor,
    earlier: &[MediaPlan],
    sources: &[Arc<dyn MediaSource>],
    options: &PlanOptions,
) -> ModelResult<Vec<MediaPlan>> {
    let mut plans = earlier.to_vec();
    // Media without chosen frames share a budget, so runs of them are planned together.
    for run in sources.chunk_by(|one, next| !one.is_chosen() && !next.is_chosen()) {
        let metadata: Vec<MediaMetadata> = run.iter().map(|source| source.metadata()).collect();
        let new = match run {
            [one] if one.is_chosen() => plan_chosen(processor, &plans, &metadata[0], options)?,
            _ => processor.plan(&plans, &metadata, options)?,
        };
        plans.extend(new);
    }
    Ok(plans.split_off(earlier.len()))
}

/// Plans frames that were chosen already: all of them, whatever the model's rule of sampling.
pub(crate) fn plan_chosen(
    processor: &dyn Processor,
    earlier: &[MediaPlan],
    metadata: &MediaMetadata,
    options: &PlanOptions,
) -> ModelResult<Vec<MediaPlan>> {
    let (even, options, first) = as_one_a_second(metadata, options)?;
    let mut plans = processor.plan(earlier, &[even], &options)?;
    plans.iter_mut().for_each(|plan| with_own_times(plan, metadata, first));
    Ok(plans)
}

/// Chosen frames as a planner is to see them: one a second, so that the model's rule takes every one of those that the
/// caller's `start` and `end` leave. With them come the options to plan with, and the first frame's number.
fn as_one_a_second(
    metadata: &MediaMetadata,
    options: &PlanOptions,
) -> ModelResult<(MediaMetadata, PlanOptions, usize)> {
    let range = metadata.range(options)?;
    let count = range.frames.len();
    let times: Vec<_> = (0..count).map(|second| zoetrope_media::Time::new(second as i64, 1)).collect();
    let even = MediaMetadata::video(metadata.size(), times, count as f64);
    let even = MediaMetadata { sizes: metadata.sizes.clone(), ..even };
    let options = PlanOptions { fps: Some(1.0), start: None, end: None, ..options.clone() };
    Ok((even, options, range.frames.start))
}

/// Puts the frames' own times into a plan that was made of them as one a second.
fn with_own_times(plan: &mut MediaPlan, metadata: &MediaMetadata, first: usize) {
    for frame in &mut plan.frames {
        let index = first + frame.index;
        *frame = metadata.planned_frame(index, metadata.timeline.start_of(index));
    }
}
