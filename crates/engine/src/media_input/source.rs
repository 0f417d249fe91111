//! Where frames come from: a file, or anything that can say its times and give its frames.

use std::path::PathBuf;
use std::sync::Arc;

use zoetrope_media::{Frame, MediaError};
use zoetrope_models::contract::feature_file::StoredFeatures;
use zoetrope_models::contract::media_plan::{Caption, MediaKind, MediaMetadata, PlanOptions};

/// Frames in the order they were requested.
pub type FrameIter<'s> = Box<dyn Iterator<Item = Result<SourceFrame, MediaError>> + 's>;

/// A frame that a source gives.
#[derive(Clone, Debug)]
pub struct SourceFrame {
    /// The frame, at its own place and time.
    pub frame: Frame,
    /// Whether it shows a neighbor's image, because its own could not be decoded.
    pub repeated: bool,
    /// Whether it may show damage: decoding met an error in it or in a frame before it.
    pub damaged: bool,
}

impl From<Frame> for SourceFrame {
    /// A frame with its own image.
    fn from(frame: Frame) -> Self {
        SourceFrame { frame, repeated: false, damaged: false }
    }
}

/// Subtitles of a film.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundSubtitles {
    /// The file, or the text track in words.
    pub name: String,
    /// The words, by time.
    pub captions: Vec<Caption>,
    /// Cues that were damaged and are left out.
    pub skipped: usize,
}

/// Something with pictures and times.
pub trait MediaSource: Send + Sync {
    /// Kind, sizes and times; neither pixels nor captions.
    fn metadata(&self) -> MediaMetadata;
    /// Its subtitles, where it has some that are wanted; with where they come from.
    ///
    /// # Errors
    /// When those that were named cannot be read.
    fn subtitles(&self) -> Result<Option<FoundSubtitles>, MediaError> {
        Ok(None)
    }
    /// Whether its frames were chosen by somebody already, so that all of them are to be shown.
    fn is_chosen(&self) -> bool {
        false
    }
    /// Its features, where they are all that there is of it.
    fn stored(&self) -> Option<Arc<StoredFeatures>> {
        None
    }
    /// The frames with these indices (ascending, repeats allowed), decoded as the iterator is pulled. A frame that
    /// cannot be decoded, in an otherwise readable source, is left out.
    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s>;
}

/// One picture or video of a request.
pub enum MediaInput {
    /// A file.
    Path(PathBuf),
    /// Anything that is open.
    Opened(OpenedMedia),
}

/// Digest of what media is made of: equal digests mean equal frames at equal times.
pub type ContentDigest = [u8; 32];

/// A picture or video that is open.
#[derive(Clone)]
pub struct OpenedMedia {
    /// The name that answers and errors give it.
    pub name: String,
    /// Its frames.
    pub source: Arc<dyn MediaSource>,
    /// Where it lies, when it is a file: stored features are looked for there.
    pub path: Option<PathBuf>,
    /// What it is made of; media without one is never taken for other media.
    pub digest: Option<ContentDigest>,
    /// Sampling of this picture or video alone, in place of the request's.
    pub plan: Option<PlanOptions>,
}

impl OpenedMedia {
    /// A source of which no more is known than its name.
    pub fn new(name: String, source: Arc<dyn MediaSource>) -> Self {
        OpenedMedia { name, source, path: None, digest: None, plan: None }
    }

    /// The file at `path`, which was opened before.
    pub fn of_file(path: PathBuf, source: Arc<dyn MediaSource>) -> Self {
        OpenedMedia { path: Some(path.clone()), ..OpenedMedia::new(path.display().to_string(), source) }
    }
}

impl MediaInput {
    /// The name that answers and errors give it.
    pub fn name(&self) -> String {
        match self {
            MediaInput::Path(path) => path.display().to_string(),
            MediaInput::Opened(opened) => opened.name.clone(),
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
    fn metadata(&self) -> MediaMetadata {
        let (width, height) = self.frames.first().map_or((0, 0), |frame| (frame.image.width, frame.image.height));
        match self.kind {
            MediaKind::Image => MediaMetadata::picture((width, height)),
            MediaKind::Video => {
                let times: Vec<_> = self.frames.iter().map(|frame| frame.time).collect();
                MediaMetadata::video((width, height), times, self.end)
            }
        }
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        let indices = indices.to_vec();
        Box::new(indices.into_iter().map(|index| {
            self.frames.get(index).cloned().map(SourceFrame::from).ok_or_else(|| {
                MediaError::Caller(format!("frame {index} was requested, there are {}", self.frames.len()))
            })
        }))
    }
}
