//! Drafts of media to open media.

use std::path::Path;
use std::sync::Arc;

use zoetrope_engine::{Limits, MediaSource};
use zoetrope_models::contract::media_plan::MediaKind;

use super::clip_part::ClipPart;
use super::frame_files::FrameFiles;
use super::place::MediaFolder;
use crate::data::dataset::DataOptions;
use crate::data::fault::{FaultKind, RowResult};
use crate::data::forms::{MediaDraft, MediaShape};
use crate::data::rows::Member;
use crate::sample::SampleMedia;

/// Opens the media of rows.
pub(in crate::data) struct Opener {
    folder: MediaFolder,
    limits: Limits,
}

impl Opener {
    /// For the rows of the data file `file`.
    pub(in crate::data) fn new(file: &Path, options: &DataOptions) -> Self {
        let own = if file.is_dir() { Some(file) } else { file.parent() };
        let root = options.media.as_deref().or(own).unwrap_or(Path::new(""));
        // An empty path, a file without a folder, is the current folder; without one, paths stay as they are.
        let root = std::path::absolute(root.join("")).unwrap_or_else(|_| root.to_path_buf());
        Opener { folder: MediaFolder { root, outside: options.outside }, limits: options.limits.clone() }
    }

    /// Opens the media of a row; `members` are the files of its archive.
    pub(in crate::data) fn open(&self, drafts: Vec<MediaDraft>, members: &[Member]) -> RowResult<Vec<SampleMedia>> {
        let limit = self.limits.media;
        if drafts.len() > limit {
            return Err(FaultKind::TooLong.of(format!("{} pictures and videos, at most {limit}", drafts.len())));
        }
        drafts.into_iter().map(|draft| Ok(SampleMedia::new(self.open_one(draft, members)?))).collect()
    }

    fn open_one(&self, draft: MediaDraft, members: &[Member]) -> RowResult<Arc<dyn MediaSource>> {
        let MediaDraft { shape, start, end } = draft;
        let (source, name): (Arc<dyn MediaSource>, _) = match shape {
            MediaShape::Whole(place) => {
                let found = self.folder.find(place, members)?;
                (found.open(&self.limits)?, found.name())
            }
            MediaShape::Frames(frames) => {
                let (count, limit) = (frames.len() as u64, self.limits.files.limits.samples);
                if count > limit {
                    return Err(FaultKind::TooLong.of(format!("{count} frames, at most {limit}")));
                }
                let seconds: Vec<f64> = frames.iter().map(|frame| frame.time).collect();
                let found = frames.into_iter().map(|frame| self.folder.find(frame.place, members));
                let found = found.collect::<RowResult<Vec<_>>>()?;
                (Arc::new(FrameFiles::open(found, &seconds, &self.limits)?), format!("a list of {count} frames"))
            }
        };
        let metadata = source.metadata();
        if metadata.kind == MediaKind::Video && metadata.timeline.is_empty() || metadata.shown_size().is_err() {
            return Err(FaultKind::MediaUnreadable.of(format!("{name}: there is nothing to see")));
        }
        match (start, end) {
            (None, None) => Ok(source),
            part => Ok(Arc::new(ClipPart::new(source, &name, part)?)),
        }
    }
}
