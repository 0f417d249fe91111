//! Samples whose planned frames are decoded already.

use std::sync::Arc;

use zoetrope_engine::{FrameIter, MediaSource, PlannedFrames, SourceFrame};
use zoetrope_media::{Frame, MediaError};
use zoetrope_models::contract::Processor;
use zoetrope_models::contract::media_plan::{MediaMetadata, MediaPlan, PlanOptions};

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

/// A sample whose frames are in memory.
#[derive(Clone, Debug)]
pub struct DecodedSample {
    /// The sample. It is planned and trained on as before, and needs no file any more.
    pub sample: Sample,
    /// Bytes of its frames.
    pub bytes: u64,
}

impl DecodedSample {
    /// Decodes every frame that a model of `processor` will be shown with the same options. Labels of synthetic scenes
    /// are lost.
    ///
    /// # Errors
    /// When a planned frame cannot be decoded: what would be shown is not what the row means.
    pub fn new(sample: &Sample, processor: &dyn Processor, options: &PlanOptions) -> Result<Self, LabError> {
        let plans = sample.plan(processor, options)?;
        let (mut media, mut bytes) = (Vec::with_capacity(plans.len()), 0);
        for (number, (own, plan)) in sample.media.iter().zip(&plans).enumerate() {
            let decoded = DecodedFrames::new(&format!("media {}", number + 1), own, plan)?;
            bytes += decoded.frames.iter().map(|frame| frame.image.data.len() as u64).sum::<u64>();
            media.push(SampleMedia::new(Arc::new(decoded)));
        }
        Ok(DecodedSample { sample: Sample { media, ..sample.clone() }, bytes })
    }
}

impl DecodedFrames {
    fn new(name: &str, media: &SampleMedia, plan: &MediaPlan) -> Result<Self, LabError> {
        let mut planned = PlannedFrames::new(name, &media.source, plan, AHEAD);
        let mut frames: Vec<Frame> = Vec::with_capacity(plan.frames.len());
        for frame in &mut planned {
            let (_, frame) = frame?;
            if frames.last().is_none_or(|last| last.index != frame.index) {
                frames.push(frame);
            }
        }
        let undecodable = planned.faults().undecodable;
        if undecodable > 0 || frames.is_empty() {
            let text = format!("{name}: {undecodable} of {} frames cannot be decoded", plan.frames.len());
            return Err(LabError::Caller(text));
        }
        Ok(DecodedFrames { metadata: media.source.metadata(), is_chosen: media.source.is_chosen(), frames })
    }
}
