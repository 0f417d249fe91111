//! Pictures of a folder as frames: each is opened and decoded when it is taken.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::file::ImageFile;
use super::format;
use super::frames::ImageFrames;
use super::picture::open_picture;
use crate::container::byte_source::ByteSource;
use crate::error::{MediaError, malformed};
use crate::frame::{Frame, Time};
use crate::options::OpenOptions;

/// Pictures in the order they are shown.
#[derive(Debug)]
pub(crate) struct PictureFolder {
    /// Where they lie.
    pub(crate) folder: PathBuf,
    /// Their names.
    pub(crate) names: Vec<OsString>,
    /// How they are opened.
    pub(crate) options: OpenOptions,
}

impl PictureFolder {
    /// Fails for a file that does not begin as a picture does.
    pub(crate) fn check(&self, index: usize) -> Result<(), MediaError> {
        let (mut head, mut tail) = ([0; 64], [0; 18]);
        let source = ByteSource::open(&self.folder.join(&self.names[index]))?;
        let read = source.read_some(0, &mut head)?;
        source.read_some(source.len().saturating_sub(tail.len() as u64), &mut tail)?;
        // HEIF and AVIF are boxes as films are: what is in them is told when they are opened.
        let is_boxes = &head[4..8] == b"ftyp";
        if is_boxes || format::sniff(&head[..read], &tail).is_some() { Ok(()) } else { Err(self.not_a_picture(index)) }
    }

    /// The picture at `index`: its header and the bytes of its file.
    pub(crate) fn picture(&self, index: usize) -> Result<ImageFile, MediaError> {
        let source = ByteSource::open(&self.folder.join(&self.names[index]))?;
        let mut head = [0; 64];
        let read = source.read_some(0, &mut head)?;
        open_picture(&source, &head[..read], &self.options).unwrap_or_else(|| Err(self.not_a_picture(index)))
    }

    fn not_a_picture(&self, index: usize) -> MediaError {
        let name = self.names[index].display();
        malformed("folder of frames", format!("{name} is not a picture, and all files of a folder must be pictures"))
    }
}

/// Pictures of a folder, each opened and decoded when it is taken.
pub(crate) struct FolderFrames {
    folder: Arc<PictureFolder>,
    times: Arc<[Time]>,
    requested: std::vec::IntoIter<usize>,
    /// The last frame given, which may be requested again.
    last: Option<Frame>,
    /// Pictures left out because they cannot be decoded.
    pub(crate) lost: usize,
}

impl FolderFrames {
    /// `indices` must be ascending and below the number of pictures.
    pub(crate) fn new(folder: Arc<PictureFolder>, times: Arc<[Time]>, indices: &[usize]) -> Self {
        FolderFrames { folder, times, requested: Vec::from(indices).into_iter(), last: None, lost: 0 }
    }

    fn decode(&self, index: usize) -> Result<Frame, MediaError> {
        let picture = Arc::new(self.folder.picture(index)?);
        let frame = ImageFrames::new(picture, &[0]).next();
        let frame = frame.unwrap_or_else(|| Err(malformed("picture", "it has no frame")))?;
        Ok(Frame { index, time: self.times[index], ..frame })
    }
}

impl Iterator for FolderFrames {
    type Item = Result<Frame, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let index = self.requested.next()?;
            if let Some(frame) = self.last.as_ref().filter(|frame| frame.index == index) {
                return Some(Ok(frame.clone()));
            }
            match self.decode(index) {
                Ok(frame) => {
                    self.last = Some(frame.clone());
                    return Some(Ok(frame));
                }
                Err(error) => {
                    let path = self.folder.folder.join(&self.folder.names[index]);
                    tracing::warn!("{}: left out: {error}", path.display());
                    self.lost += 1;
                }
            }
        }
    }
}
