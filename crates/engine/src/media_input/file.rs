//! Media files as sources.

use std::path::Path;
use std::sync::Arc;

use zoetrope_media::Clip;
use zoetrope_models::contract::media_plan::{MediaKind, MediaMetadata};

use super::source::{FrameIter, MediaSource};
use crate::error::EngineError;
use crate::limits::Limits;

/// Opens a file: headers only, no pixels. A damaged file that can be read in part is a warning.
///
/// # Errors
/// [`EngineError::Media`] with the file's name.
pub fn open_file(path: &Path, limits: &Limits) -> Result<Arc<dyn MediaSource>, EngineError> {
    match zoetrope_media::open(path, &limits.files) {
        Ok(clip) => {
            for warning in &clip.info().warnings {
                tracing::warn!("{}: {warning}", path.display());
            }
            Ok(Arc::new(clip))
        }
        Err(error) => Err(EngineError::Media { name: path.display().to_string(), error }),
    }
}

impl MediaSource for Clip {
    fn metadata(&self) -> MediaMetadata {
        MediaMetadata {
            kind: if self.is_still() { MediaKind::Image } else { MediaKind::Video },
            width: self.width(),
            height: self.height(),
            times: self.times().into(),
            end: self.end(),
            captions: Vec::new(),
        }
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        match Clip::frames(self, indices) {
            Ok(frames) => Box::new(frames),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }
}
