//! The planned frames of media, decoded ahead on a thread of their own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use zoetrope_media::{Frame, MediaError};
use zoetrope_models::contract::media_plan::{MediaPlan, PlannedFrame};

use super::source::MediaSource;
use crate::error::EngineError;

/// Each planned frame with its pixels, in order. Frames that the source leaves out are passed over.
pub struct PlannedFrames {
    name: String,
    decoded: Receiver<Result<Frame, MediaError>>,
    left: std::vec::IntoIter<PlannedFrame>,
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
        PlannedFrames { name: name.to_string(), decoded, left: plan.frames.clone().into_iter(), waited: 0.0 }
    }
}

impl Iterator for PlannedFrames {
    type Item = Result<(PlannedFrame, Frame), EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let begun = Instant::now();
        let next = self.decoded.recv().ok();
        self.waited += begun.elapsed().as_secs_f64();
        Some(match next? {
            Ok(frame) => match self.left.find(|planned| planned.index == frame.index) {
                Some(planned) => Ok((planned, frame)),
                None => Err(EngineError::Bug(format!("{}: frame {} came out of turn", self.name, frame.index))),
            },
            Err(error) => Err(EngineError::Media { name: self.name.clone(), error }),
        })
    }
}
