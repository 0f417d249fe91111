//! Where frames come from: a file, or anything that can say its times and give its frames (drawn clips, tests).

use std::path::PathBuf;

use zoetrope_media::{Frame, MediaError};
use zoetrope_models::contract::{MediaKind, Source};

/// Frames in the order they were asked for.
pub type FrameIter<'s> = Box<dyn Iterator<Item = Result<Frame, MediaError>> + 's>;

/// Something with pictures and times.
pub trait MediaSource: Send + Sync {
    /// Kind, size and times; no pixels.
    fn source(&self) -> Source;
    /// The frames with these indices (ascending, repeats allowed), decoded as the iterator is pulled. A frame that
    /// cannot be had at all, in an otherwise readable source, is left out.
    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s>;
}

/// One picture or video of a request.
pub enum Input {
    /// A file.
    Path(PathBuf),
    /// Anything else, with the name that answers and errors give it.
    Source(String, Box<dyn MediaSource>),
}

impl Input {
    /// The name that answers and errors give it.
    pub fn name(&self) -> String {
        match self {
            Input::Path(path) => path.display().to_string(),
            Input::Source(name, _) => name.clone(),
        }
    }
}

/// Frames that are in memory already.
#[derive(Clone, Debug)]
pub struct InMemory {
    /// Picture or video.
    pub kind: MediaKind,
    /// All frames in presentation order, `index` counting from 0; at least one, all of one size.
    pub frames: Vec<Frame>,
    /// End of the last frame in seconds.
    pub end: f64,
}

impl MediaSource for InMemory {
    fn source(&self) -> Source {
        let (width, height) = self.frames.first().map_or((0, 0), |frame| (frame.image.width, frame.image.height));
        let times = self.frames.iter().map(|frame| frame.time).collect();
        Source { kind: self.kind, width, height, times, end: self.end }
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        let indices = indices.to_vec();
        Box::new(indices.into_iter().map(|index| {
            self.frames.get(index).cloned().ok_or_else(|| {
                MediaError::Caller(format!("frame {index} was asked for, there are {}", self.frames.len()))
            })
        }))
    }
}
