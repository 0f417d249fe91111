//! A data file as a dataset.

use std::path::{Path, PathBuf};

use super::dataset::{BadSample, DataOptions, Dataset};
use super::fault::RowResult;
use super::forms::{self, RowMembers};
use super::media::Opener;
use super::rows::{Row, Shards};
use crate::error::LabError;
use crate::sample::Sample;

/// Endings of the pictures and videos of an archive. The rest of its files is no media.
const IMAGE_ENDINGS: [&str; 12] =
    ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "ppm", "heic", "avif", "jfif", "image"];
const VIDEO_ENDINGS: [&str; 12] =
    ["mp4", "webm", "mkv", "mov", "avi", "m4v", "gif", "ts", "flv", "mpg", "mpeg", "video"];

/// Rows of one file, or of several shards.
pub(super) struct DataFile {
    name: String,
    shards: Shards,
    opener: Opener,
}

impl DataFile {
    /// Finds the rows of what `file` stands for.
    pub(super) fn open(file: &Path, options: &DataOptions) -> Result<Self, LabError> {
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
        Ok(DataFile { name, shards: super::rows::open(file)?, opener: Opener::new(options) })
    }

    /// The sample of a row of `file`.
    fn read(&self, row: Row, file: &Path) -> RowResult<Sample> {
        let of = |endings: &[&str]| {
            let is = |ending: &str| endings.contains(&ending.rsplit('.').next().unwrap_or_default());
            row.members.iter().filter(|member| is(&member.ending())).map(|member| member.name.clone()).collect()
        };
        let members = RowMembers { images: of(&IMAGE_ENDINGS), videos: of(&VIDEO_ENDINGS) };
        let draft = forms::read(&row.fields, members)?;
        let media = self.opener.open(draft.media, &row.members, file)?;
        Ok(Sample { media, messages: draft.messages, rejected: draft.rejected })
    }
}

impl Dataset for DataFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.shards.len()
    }

    fn place(&self, index: u64) -> (PathBuf, u64) {
        let place = self.shards.place(index);
        place.map_or_else(|| (self.name.clone().into(), index + 1), |(file, row)| (file.to_path_buf(), row + 1))
    }

    fn sample(&self, index: u64) -> Result<Sample, BadSample> {
        let (file, row) = self.place(index);
        let sample = self.shards.row(index).and_then(|row| self.read(row, &file));
        sample.map_err(|fault| BadSample { file, row, reason: fault.to_string() })
    }
}
