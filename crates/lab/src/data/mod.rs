//! People's own data as numbered samples.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::LabError;
use crate::sample::Sample;

/// Numbered samples. A number gives the same sample in every run.
pub trait Dataset: Send + Sync {
    /// What reports call it: the file's name.
    fn name(&self) -> &str;
    /// Samples of one epoch.
    fn len(&self) -> u64;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Where sample `index` comes from: the data file, and its row from 1.
    fn place(&self, index: u64) -> (PathBuf, u64) {
        (PathBuf::from(self.name()), index + 1)
    }

    /// Sample `index` below `len`. Media are opened, no frame is decoded yet.
    ///
    /// # Errors
    /// [`BadSample`] when the row is no sample, or its media cannot be opened.
    fn sample(&self, index: u64) -> Result<Sample, BadSample>;
}

/// Why a row is no sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSample {
    /// The data file.
    pub file: PathBuf,
    /// The row, from 1.
    pub row: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for BadSample {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: row {}: {}", self.file.display(), self.row, self.reason)
    }
}

/// How a data file is read.
#[derive(Clone, Debug, Default)]
pub struct DataOptions {
    /// Folder that relative media paths start from; the data file's folder when left out.
    pub media: Option<PathBuf>,
    /// Whether rows may name media outside that folder, by absolute paths or by `..`.
    pub outside: bool,
}

/// Opens a data file.
///
/// # Errors
/// [`LabError::File`] when it cannot be read.
pub fn open(file: &Path, _options: &DataOptions) -> Result<Arc<dyn Dataset>, LabError> {
    Err(LabError::File { file: file.to_path_buf(), what: "data files are not read yet".to_string() })
}
