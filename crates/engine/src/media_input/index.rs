//! A film through the vision encoder to a file, a run of frames at a time: memory does not grow with the film.

use std::sync::Arc;

use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::feature_file::{FeatureRun, FeatureWriter, StoredFaults};
use zoetrope_models::contract::features::Features;
use zoetrope_models::contract::media_plan::{MediaPlan, PlannedFrame};

use super::faults::FrameFaults;
use super::patches::{CHUNK_PATCHES, PatchStream};
use super::source::MediaSource;
use crate::error::EngineError;

/// A film whose features are being written.
pub struct IndexJob {
    model: Arc<dyn VideoLanguageModel>,
    plan: MediaPlan,
    stream: PatchStream,
    writer: FeatureWriter,
    /// Faults of earlier runs of this program.
    earlier: StoredFaults,
    /// Faults of the frame that is decoded again.
    again: FrameFaults,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct IndexProgress {
    /// Planned frames that are done.
    pub frames: usize,
    /// Bytes of features.
    pub bytes: u64,
    /// Whether nothing is left to encode.
    pub done: bool,
}

impl IndexJob {
    /// Begins to encode `source` as `plan` says, or goes on behind what `writer` has.
    ///
    /// # Errors
    /// When the frame to go on from can no longer be decoded.
    pub fn new(
        model: &Arc<dyn VideoLanguageModel>,
        name: &str,
        source: &Arc<dyn MediaSource>,
        plan: MediaPlan,
        writer: FeatureWriter,
    ) -> Result<Self, EngineError> {
        let (processor, done) = (model.processor(), writer.done());
        let stream = match done.last {
            Some(last) => PatchStream::resume(processor, name, source, &plan, (last, done.next))?,
            None => PatchStream::new(processor, name, source, &plan),
        };
        let (earlier, again) = (done.faults, stream.faults());
        Ok(IndexJob { model: Arc::clone(model), plan, stream, writer, earlier, again })
    }

    /// How far it is.
    pub fn progress(&self) -> IndexProgress {
        let frames = self.writer.done().next;
        IndexProgress { frames, bytes: self.writer.bytes(), done: frames == self.plan.frames.len() }
    }

    /// Encodes the next run of frames.
    ///
    /// # Errors
    /// When a frame cannot be read, the model refuses, or the disk is full.
    pub fn advance(&mut self) -> Result<IndexProgress, EngineError> {
        let Some(prepared) = self.stream.next().transpose()? else {
            // Frames at the end that could not be decoded.
            return Ok(IndexProgress { done: true, ..self.progress() });
        };
        let mut features = Vec::new();
        for patches in prepared.patches.split(CHUNK_PATCHES)? {
            features.push(self.model.encode(&self.plan, &patches)?);
        }
        let features = Features::concat(&features)?;
        let run = self.run(&prepared.frames, &features)?;
        self.writer.append(&features, run)?;
        Ok(self.progress())
    }

    /// What is noted of a run of `frames`.
    fn run(&self, frames: &[PlannedFrame], features: &Features) -> Result<FeatureRun, EngineError> {
        let (mut next, mut lost) = (self.writer.done().next, Vec::new());
        for frame in frames {
            let left = self.plan.frames.get(next..).unwrap_or_default();
            let Some(skipped) = left.iter().position(|planned| planned == frame) else {
                return Err(EngineError::Bug(format!("frame {} came out of turn", frame.index)));
            };
            lost.extend((next..next + skipped).map(|number| number as u32));
            next += skipped + 1;
        }
        let now = self.stream.faults();
        let faults = StoredFaults {
            repeated: self.earlier.repeated + now.repeated - self.again.repeated,
            damaged: self.earlier.damaged + now.damaged - self.again.damaged,
            with_bars: self.earlier.with_bars + now.with_bars - self.again.with_bars,
        };
        let per_unit = features.per_unit.iter().map(|&rows| rows as u32).collect();
        Ok(FeatureRun { next, last: Some(next - 1), lost, per_unit, faults })
    }

    /// Brings what is there to disk, to go on another day.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn stop(mut self) -> Result<(), EngineError> {
        Ok(self.writer.checkpoint()?)
    }

    /// Completes the file when nothing is left to encode.
    ///
    /// # Errors
    /// When no frame could be decoded, or the file cannot be written.
    pub fn finish(self) -> Result<(), EngineError> {
        let lost = (self.writer.done().next..self.plan.frames.len()).map(|number| number as u32).collect();
        Ok(self.writer.finish(lost)?)
    }
}
