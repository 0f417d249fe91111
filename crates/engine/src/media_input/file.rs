//! Media files as sources.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zoetrope_media::subtitle::SubtitleChoice;
use zoetrope_media::{Clip, MediaError};
use zoetrope_models::contract::media_plan::MediaMetadata;

use super::faults::tell_faults;
use super::source::{FoundSubtitles, FrameIter, MediaSource};
use super::{stored, subtitles};
use crate::error::EngineError;
use crate::limits::Limits;

/// Opens a file: headers only, no pixels. A damaged file that can be read in part is a warning.
///
/// # Errors
/// [`EngineError::Media`] with the file's name.
pub fn open_file(path: &Path, limits: &Limits) -> Result<Arc<dyn MediaSource>, EngineError> {
    if stored::is_features(path) {
        return stored::open_alone(path);
    }
    opened(zoetrope_media::open(path, &limits.files), path, limits.files.subtitles.clone())
}

/// Opens a file that is in memory, by the `name` that messages give it: headers only, no pixels. It has no subtitles.
///
/// # Errors
/// [`EngineError::Media`] with the name.
pub fn open_bytes(name: &str, bytes: Vec<u8>, limits: &Limits) -> Result<Arc<dyn MediaSource>, EngineError> {
    let clip = zoetrope_media::open_bytes(name, bytes, &limits.files);
    opened(clip, Path::new(name), SubtitleChoice::None)
}

/// Opens the `bytes` bytes from `begin` on of the file at `path`, such as a file inside an archive, by the `name` that
/// messages give it: headers only, no pixels. It has no subtitles.
///
/// # Errors
/// [`EngineError::Media`] with the name.
pub fn open_part(
    name: &str,
    path: &Path,
    (begin, bytes): (u64, u64),
    limits: &Limits,
) -> Result<Arc<dyn MediaSource>, EngineError> {
    let clip = zoetrope_media::open_part(path, begin, bytes, &limits.files);
    opened(clip, Path::new(name), SubtitleChoice::None)
}

fn opened(
    clip: Result<Clip, MediaError>,
    path: &Path,
    subtitles: SubtitleChoice,
) -> Result<Arc<dyn MediaSource>, EngineError> {
    let clip = clip.map_err(|error| EngineError::Media { name: path.display().to_string(), error })?;
    for warning in &clip.info().warnings {
        tracing::warn!("{}: {warning}", path.display());
    }
    Ok(Arc::new(ClipFile { clip, path: path.to_path_buf(), subtitles }))
}

/// A clip, and where it lies.
struct ClipFile {
    clip: Clip,
    path: PathBuf,
    subtitles: SubtitleChoice,
}

impl MediaSource for ClipFile {
    fn metadata(&self) -> MediaMetadata {
        let clip = &self.clip;
        if clip.is_still() {
            MediaMetadata::picture((clip.width(), clip.height()))
        } else {
            // Where the size changes, nothing of the largest part is lost.
            MediaMetadata::video(clip.largest_size(), clip.times(), clip.end())
        }
    }

    fn subtitles(&self) -> Result<Option<FoundSubtitles>, MediaError> {
        match self.clip.is_still() {
            true => Ok(None),
            false => subtitles::find(&self.clip, &self.path, &self.subtitles),
        }
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        match self.clip.frames(indices) {
            Ok(frames) => Box::new(tell_faults(frames)),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }
}
