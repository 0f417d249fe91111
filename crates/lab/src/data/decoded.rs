//! Samples whose planned frames are decoded already.

use std::sync::Arc;

use zoetrope_engine::{FrameIter, MediaSource, PlannedFrames, SourceFrame};
use zoetrope_media::{Frame, MediaError};
use zoetrope_models::contract::Processor;
use zoetrope_models::contract::media_plan::{MediaMetadata, PlanOptions};

use crate::error::LabError;
use crate::sample::{Sample, SampleMedia};

/// Frames that wait for their turn while others are decoded.
const AHEAD: usize = 2;

/// The planned frames of media, in memory.
struct DecodedFrames {
    metadata: MediaMetadata,
    is_chosen: bool,
    /// In the order of their indices.
    frames: Vec<Frame>,
}

impl MediaSource for DecodedFrames {
    fn metadata(&self) -> MediaMetadata {
        self.metadata.clone()
    }

    fn is_chosen(&self) -> bool {
        self.is_chosen
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        let indices = indices.to_vec();
        Box::new(indices.into_iter().map(|index| {
            let found = self.frames.binary_search_by_key(&index, |frame| frame.index);
            let found = found.map(|at| SourceFrame::from(self.frames[at].clone()));
            found.map_err(|_| MediaError::Caller(format!("frame {index} was not decoded ahead")))
        }))
    }
}

/// The sample with every frame decoded that a model of `processor` will be shown with the same options. It is planned
/// and trained on as before, and needs no file any more. Labels of synthetic scenes are kept only where nothing was
/// decoded.
///
/// # Errors
/// When a planned frame cannot be decoded: what would be shown is not what the row means.
pub fn decode(sample: &Sample, processor: &dyn Processor, options: &PlanOptions) -> Result<Sample, LabError> {
    let plans = sample.plan(processor, options)?;
    let mut media = Vec::with_capacity(plans.len());
    for (number, (own, plan)) in sample.media.iter().zip(&plans).enumerate() {
        let name = format!("media {}", number + 1);
        let mut planned = PlannedFrames::new(&name, &own.source, plan, AHEAD);
        let mut frames: Vec<Frame> = Vec::with_capacity(plan.frames.len());
        for frame in &mut planned {
            let (_, frame) = frame?;
            if frames.last().is_none_or(|last| last.index != frame.index) {
                frames.push(frame);
            }
        }
        let faults = planned.faults();
        if faults.undecodable > 0 || frames.is_empty() {
            let text = format!("{name}: {} of {} frames cannot be decoded", faults.undecodable, plan.frames.len());
            return Err(LabError::Caller(text));
        }
        let (metadata, is_chosen) = (own.source.metadata(), own.source.is_chosen());
        media.push(SampleMedia::new(Arc::new(DecodedFrames { metadata, is_chosen, frames })));
    }
    Ok(Sample { media, messages: sample.messages.clone() })
}

/// Bytes of the frames that a model of `processor` is shown of a sample, at three a pixel: what [`decode`] keeps.
///
/// # Errors
/// What the model's processor refuses.
pub fn decoded_bytes(sample: &Sample, processor: &dyn Processor, options: &PlanOptions) -> Result<u64, LabError> {
    let bytes = |plan: &zoetrope_models::contract::media_plan::MediaPlan| {
        let (width, height) = plan.source;
        (3 * u64::from(width) * u64::from(height)).saturating_mul(plan.frames.len() as u64)
    };
    Ok(sample.plan(processor, options)?.iter().map(bytes).fold(0, u64::saturating_add))
}
