//! Drafts of media to open media.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zoetrope_engine::{Limits, MediaSource};
use zoetrope_models::contract::media_plan::MediaKind;

use super::clip_part::ClipPart;
use super::content::{Digests, MediaContent};
use super::frame_files::FrameFiles;
use super::place::MediaFolder;
use crate::data::dataset::DataOptions;
use crate::data::fault::{FaultKind, RowResult};
use crate::data::forms::{MediaDraft, MediaShape};
use crate::data::rows::Member;
use crate::sample::SampleMedia;

/// Opens the media of rows.
pub(in crate::data) struct Opener {
    /// Where relative paths start; each data file's folder when `None`.
    root: Option<PathBuf>,
    outside: bool,
    limits: Limits,
    /// Of the files that were read.
    digests: Arc<Digests>,
}

impl Opener {
    pub(in crate::data) fn new(options: &DataOptions) -> Self {
        Opener {
            root: options.media.clone(),
            outside: options.outside,
            limits: options.limits.clone(),
            digests: Arc::default(),
        }
    }

    /// Opens the media of a row of `file`; `members` are the files of its archive.
    pub(in crate::data) fn open(
        &self,
        drafts: Vec<MediaDraft>,
        members: &[Member],
        file: &Path,
    ) -> RowResult<Vec<SampleMedia>> {
        let limit = self.limits.media;
        if drafts.len() > limit {
            return Err(FaultKind::TooLong.of(format!("{} pictures and videos, at most {limit}", drafts.len())));
        }
        let folder = self.folder(file);
        let open = |draft| self.open_one(draft, members, &folder);
        drafts.into_iter().map(open).collect()
    }

    fn folder(&self, file: &Path) -> MediaFolder {
        let root = self.root.as_deref().or(file.parent());
        // A file without a folder lies in the current one. Absolute, so that absolute paths can be compared with it.
        let root = root.filter(|root| !root.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
        MediaFolder { root, outside: self.outside }
    }

    fn open_one(&self, draft: MediaDraft, members: &[Member], folder: &MediaFolder) -> RowResult<SampleMedia> {
        let MediaDraft { shape, start, end } = draft;
        let (source, name, files): (Arc<dyn MediaSource>, _, _) = match shape {
            MediaShape::Whole(place) => {
                let found = folder.find(place, members)?;
                (found.open(&self.limits)?, found.name(), vec![found])
            }
            MediaShape::Frames(frames) => {
                let (count, limit) = (frames.len() as u64, self.limits.files.limits.samples);
                if count > limit {
                    return Err(FaultKind::TooLong.of(format!("{count} frames, at most {limit}")));
                }
                let seconds: Vec<f64> = frames.iter().map(|frame| frame.time).collect();
                let found = frames.into_iter().map(|frame| folder.find(frame.place, members));
                let found = found.collect::<RowResult<Vec<_>>>()?;
                let frames = FrameFiles::open(found.clone(), &seconds, &self.limits)?;
                (Arc::new(frames), format!("a list of {count} frames"), found)
            }
        };
        let metadata = source.metadata();
        if metadata.kind == MediaKind::Video && metadata.timeline.is_empty() || metadata.shown_size().is_err() {
            return Err(FaultKind::MediaUnreadable.of(format!("{name}: there is nothing to see")));
        }
        let source: Arc<dyn MediaSource> = match (start, end) {
            (None, None) => source,
            part => Arc::new(ClipPart::new(source, &name, part)?),
        };
        let (content, digests) = (MediaContent { files, part: (start, end) }, Arc::clone(&self.digests));
        Ok(SampleMedia::new(source).with_content(move || content.digest(&digests)))
    }
}
