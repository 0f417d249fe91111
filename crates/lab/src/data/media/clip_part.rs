//! A part of a video as a video of its own, whose times count from its first frame.

use std::ops::Range;
use std::sync::Arc;

use zoetrope_engine::{FrameIter, MediaSource, SourceFrame};
use zoetrope_models::contract::media_plan::{MediaKind, MediaMetadata};

use crate::data::fault::{FaultKind, RowResult};

/// What is on screen from one moment of a video to another.
pub(super) struct ClipPart {
    whole: Arc<dyn MediaSource>,
    frames: Range<usize>,
    metadata: MediaMetadata,
}

impl ClipPart {
    /// The part of `whole` from `start` to `end`, counted from the start of its first frame.
    pub(super) fn new(
        whole: Arc<dyn MediaSource>,
        name: &str,
        (start, end): (Option<f64>, Option<f64>),
    ) -> RowResult<Self> {
        let metadata = whole.metadata();
        if metadata.kind != MediaKind::Video {
            return Err(FaultKind::Times.of(format!("{name} is a picture, which has no start and end")));
        }
        let range = metadata.timeline.range(start, end);
        let range = range.map_err(|error| FaultKind::Times.of(format!("{name}: {error}")))?;
        let timeline = metadata.timeline.part(&range);
        Ok(ClipPart { whole, frames: range.frames, metadata: MediaMetadata { timeline, ..metadata } })
    }
}

impl MediaSource for ClipPart {
    fn metadata(&self) -> MediaMetadata {
        self.metadata.clone()
    }

    fn is_chosen(&self) -> bool {
        self.whole.is_chosen()
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        let (first, count) = (self.frames.start, self.frames.len());
        // What is out of range stays so.
        let in_whole = |index: &usize| if *index < count { first + index } else { usize::MAX };
        let indices: Vec<usize> = indices.iter().map(in_whole).collect();
        let own = move |mut frame: SourceFrame| {
            frame.frame.index = frame.frame.index.saturating_sub(first);
            frame
        };
        Box::new(self.whole.frames(&indices).map(move |frame| frame.map(own)))
    }
}
