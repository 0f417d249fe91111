//! Media as patches, a bounded run of frames at a time: the one way from a source to the encoder, whoever asks.

use std::sync::Arc;
use std::time::Instant;

use zoetrope_models::contract::Processor;
use zoetrope_models::contract::features::{Patches, PrepareState};
use zoetrope_models::contract::media_plan::{MediaPlan, PlannedFrame};

use super::faults::FrameFaults;
use super::frames::PlannedFrames;
use super::source::MediaSource;
use crate::error::EngineError;

/// Patches that go through the encoder at once, unless one unit alone has more: enough rows for full speed, few enough
/// that a layer's values stay in the caches.
pub const CHUNK_PATCHES: usize = 1024;

/// Consecutive frames, ready for the encoder.
pub struct PreparedFrames {
    /// The frames.
    pub frames: Vec<PlannedFrame>,
    /// Their patches.
    pub patches: Patches,
}

/// The frames of planned media as patches. Frames are dropped when they are prepared.
pub struct PatchStream {
    processor: Arc<dyn Processor>,
    plan: MediaPlan,
    frames: PlannedFrames,
    state: PrepareState,
    run: usize,
    /// Seconds that were spent preparing frames.
    pub preparing: f64,
}

impl PatchStream {
    /// Begins to decode.
    pub fn new(processor: &Arc<dyn Processor>, name: &str, source: &Arc<dyn MediaSource>, plan: &MediaPlan) -> Self {
        let frames = PlannedFrames::new(name, source, plan, frames_per_run(plan));
        Self::over(processor, plan, frames)
    }

    fn over(processor: &Arc<dyn Processor>, plan: &MediaPlan, frames: PlannedFrames) -> Self {
        PatchStream {
            processor: Arc::clone(processor),
            plan: plan.clone(),
            frames,
            state: PrepareState::default(),
            run: frames_per_run(plan),
            preparing: 0.0,
        }
    }

    /// Begins with the planned frame number `next`, as if those before it had been given; `last` is the last of them
    /// that could be decoded. It is decoded again, because pruning compares the next frame with it.
    ///
    /// # Errors
    /// When it can no longer be decoded.
    pub fn resume(
        processor: &Arc<dyn Processor>,
        name: &str,
        source: &Arc<dyn MediaSource>,
        plan: &MediaPlan,
        (last, next): (usize, usize),
    ) -> Result<Self, EngineError> {
        let frames = plan.frames.iter().enumerate().filter(|(number, _)| *number == last || *number >= next);
        let left = MediaPlan { frames: frames.map(|(_, frame)| frame.clone()).collect(), ..plan.clone() };
        let frames = PlannedFrames::new(name, source, &left, frames_per_run(plan));
        let mut stream = Self::over(processor, plan, frames);
        match stream.frames.next().transpose()? {
            Some((planned, frame)) if plan.frames.get(last) == Some(&planned) => {
                processor.prepare(plan, &[frame], &mut stream.state)?;
                Ok(stream)
            }
            _ => Err(EngineError::caller(format!("{name}: frame {last} can no longer be decoded"))),
        }
    }

    /// What was not as planned; complete when the iterator has ended.
    pub fn faults(&self) -> FrameFaults {
        self.frames.faults()
    }

    /// Seconds that were spent waiting for frames.
    pub fn waited(&self) -> f64 {
        self.frames.waited
    }
}

/// How many frames are prepared at once: all when the encoder takes them together.
pub fn frames_per_run(plan: &MediaPlan) -> usize {
    let run = (CHUNK_PATCHES / plan.patches_per_frame().max(1)).max(1);
    if plan.joint { plan.frames.len().max(1) } else { run.min(plan.frames.len().max(1)) }
}

impl Iterator for PatchStream {
    type Item = Result<PreparedFrames, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut planned, mut frames) = (Vec::with_capacity(self.run), Vec::with_capacity(self.run));
        while frames.len() < self.run {
            match self.frames.next() {
                Some(Ok((place, frame))) => {
                    planned.push(place);
                    frames.push(frame);
                }
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            }
        }
        if frames.is_empty() {
            return None;
        }
        let begun = Instant::now();
        let patches = self.processor.prepare(&self.plan, &frames, &mut self.state);
        self.preparing += begun.elapsed().as_secs_f64();
        Some(patches.map(|patches| PreparedFrames { frames: planned, patches }).map_err(EngineError::from))
    }
}
