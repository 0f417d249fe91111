//! Numbered samples, and why a row is none.

use std::fmt;
use std::path::PathBuf;

use zoetrope_engine::Limits;

use crate::sample::Sample;

/// Numbered samples. A number gives the same sample in every run.
pub trait Dataset: Send + Sync {
    /// What reports call it: the file's name.
    fn name(&self) -> &str;

    /// Samples of one epoch.
    fn len(&self) -> u64;

    /// Whether there is no sample at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where sample `index` comes from: the data file, and its row from 1.
    fn place(&self, index: u64) -> (PathBuf, u64) {
        (PathBuf::from(self.name()), index + 1)
    }

    /// Sample `index`, which is none for this reason.
    fn bad(&self, index: u64, reason: String) -> BadSample {
        let (file, row) = self.place(index);
        BadSample { file, row, reason }
    }

    /// Sample `index` below [`Dataset::len`]. Media are opened, no frame is decoded yet.
    ///
    /// # Errors
    /// Why the row is no sample.
    fn sample(&self, index: u64) -> Result<Sample, BadSample>;
}

/// Why a row is no sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSample {
    /// The data file (the shard, where there are several).
    pub file: PathBuf,
    /// Row of the file, from 1.
    pub row: u64,
    /// What is wrong. What stands before the first colon is the kind that bad rows are counted by.
    pub reason: String,
}

impl BadSample {
    /// The kind of the reason: its words before the first colon.
    pub fn kind(&self) -> &str {
        self.reason.split_once(':').map_or(&self.reason, |(kind, _)| kind)
    }
}

impl fmt::Display for BadSample {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: row {}: {}", self.file.display(), self.row, self.reason)
    }
}

/// How a data file is read.
#[derive(Clone, Debug, Default)]
pub struct DataOptions {
    /// The folder that relative media paths start from; the data file's own folder when `None`.
    pub media: Option<PathBuf>,
    /// Whether rows may name media outside that folder, by absolute paths or by `..`.
    pub outside: bool,
    /// Limits of one sample, and how its media files are opened.
    pub limits: Limits,
}
