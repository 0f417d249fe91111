//! The planned frames of media, decoded ahead on a thread of their own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use zoetrope_media::{Frame, MediaError};
use zoetrope_models::contract::media_plan::{MediaPlan, PlannedFrame};

use super::faults::FrameFaults;
use super::source::{MediaSource, SourceFrame};
use crate::error::EngineError;

/// Each planned frame with its pixels, in order. Frames that the source leaves out are passed over. At the end a
/// warning says what was not as planned.
pub struct PlannedFrames {
    name: String,
    decoded: Receiver<Result<SourceFrame, MediaError>>,
    plan: MediaPlan,
    left: std::vec::IntoIter<PlannedFrame>,
    given: usize,
    /// What frames so far were not as planned; those that are missing count at the end.
    faults: FrameFaults,
    has_ended: bool,
    /// Seconds that were spent waiting for frames.
    pub waited: f64,
}

impl PlannedFrames {
    /// Begins to decode; at most `ahead` frames wait to be taken.
    pub fn new(name: &str, source: &Arc<dyn MediaSource>, plan: &MediaPlan, ahead: usize) -> Self {
        let indices: Vec<usize> = plan.frames.iter().map(|frame| frame.index).collect();
        let (ready, decoded) = sync_channel(ahead.max(1));
        let source = Arc::clone(source);
        // Ends when all are decoded, or at the first frame that nobody takes any more.
        std::thread::spawn(move || source.frames(&indices).try_for_each(|frame| ready.send(frame)).ok());
        PlannedFrames {
            name: name.to_string(),
            decoded,
            plan: plan.clone(),
            left: plan.frames.clone().into_iter(),
            given: 0,
            faults: FrameFaults::default(),
            has_ended: false,
            waited: 0.0,
        }
    }

    /// What was not as planned; complete when the iterator has ended.
    pub fn faults(&self) -> FrameFaults {
        self.faults
    }

    /// The planned place of a frame that was decoded.
    fn place(
        &mut self,
        SourceFrame { frame, repeated, damaged }: SourceFrame,
    ) -> Result<(PlannedFrame, Frame), EngineError> {
        let Some(planned) = self.left.find(|planned| planned.index == frame.index) else {
            return Err(EngineError::Bug(format!("{}: frame {} came out of turn", self.name, frame.index)));
        };
        self.given += 1;
        self.faults.repeated += usize::from(repeated);
        self.faults.damaged += usize::from(damaged);
        self.faults.with_bars += usize::from(self.plan.shows_with_bars((frame.image.width, frame.image.height)));
        Ok((planned, frame))
    }

    /// Counts what is missing, and warns.
    fn end(&mut self) {
        if !self.has_ended {
            self.has_ended = true;
            let planned = self.plan.frames.len();
            self.faults.undecodable = planned - self.given;
            if !self.faults.is_none() {
                tracing::warn!("{}: {}", self.name, self.faults.words(planned));
            }
        }
    }
}

impl Iterator for PlannedFrames {
    type Item = Result<(PlannedFrame, Frame), EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let begun = Instant::now();
        let next = self.decoded.recv().ok();
        self.waited += begun.elapsed().as_secs_f64();
        match next {
            Some(Ok(frame)) => Some(self.place(frame)),
            Some(Err(error)) => Some(Err(EngineError::Media { name: self.name.clone(), error })),
            None => {
                self.end();
                None
            }
        }
    }
}
