//! The door to media files.

use std::path::Path;

use zoetrope_media::Clip;
use zoetrope_models::contract::{MediaKind, Source};

use crate::error::EngineError;
use crate::limits::Limits;
use crate::media::{FrameIter, MediaSource};

/// Opens a file: headers only, no pixels. Errors name the file; what is readable but not whole is a warning.
pub fn open_file(path: &Path, limits: &Limits) -> Result<Box<dyn MediaSource>, EngineError> {
    match zoetrope_media::open(path, &limits.files) {
        Ok(clip) => {
            for warning in &clip.info().warnings {
                tracing::warn!("{}: {warning}", path.display());
            }
            Ok(Box::new(clip))
        }
        Err(error) => Err(EngineError::Media { name: path.display().to_string(), error }),
    }
}

impl MediaSource for Clip {
    fn source(&self) -> Source {
        Source {
            kind: if self.is_still() { MediaKind::Image } else { MediaKind::Video },
            width: self.width(),
            height: self.height(),
            times: self.times().to_vec(),
            end: self.end(),
        }
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        match self.at(indices) {
            Ok(frames) => Box::new(frames),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }
}
