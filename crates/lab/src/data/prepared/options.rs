//! What loading may take. Nothing of it changes what is learned.

use serde::{Deserialize, Serialize};

use crate::data::read_ahead::ReadAhead;

/// Bytes of a megabyte.
const MB: u64 = 1_000_000;
/// Most workers, most megabytes: beyond them is a slip of the hand.
const MAX_WORKERS: usize = 256;
const MAX_MB: u64 = 1_000_000_000;

/// How samples are loaded while the model computes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoaderOptions {
    /// Threads that decode and prepare ahead; with 0, the step does it.
    pub workers: usize,
    /// Megabytes of samples that are decoded ahead, those that are at work included.
    pub ahead_mb: u64,
    /// Megabytes of memory for decoded media, or features of a frozen encoder, that later epochs show again.
    pub keep_mb: u64,
    /// Whether features of a frozen encoder are kept in the place of decoded media.
    pub keep_features: bool,
    /// Megabytes of files for features of a frozen encoder, in the folder of the run.
    pub disk_mb: u64,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        LoaderOptions { workers: 2, ahead_mb: 512, keep_mb: 512, keep_features: true, disk_mb: 0 }
    }
}

impl LoaderOptions {
    /// # Errors
    /// What makes no sense, by its field.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.workers > MAX_WORKERS {
            return Err(format!("workers: {} is more than the limit of {MAX_WORKERS}", self.workers));
        }
        for (field, value) in [("ahead_mb", self.ahead_mb), ("keep_mb", self.keep_mb), ("disk_mb", self.disk_mb)] {
            if value > MAX_MB {
                return Err(format!("{field}: {value} is more than the limit of {MAX_MB}"));
            }
        }
        if self.disk_mb > 0 && !self.keep_features {
            return Err("disk_mb: only with keep_features = true".to_string());
        }
        Ok(())
    }

    /// Bytes of memory for media that are kept.
    pub(crate) fn kept_bytes(&self) -> u64 {
        self.keep_mb * MB
    }

    /// Bytes of files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.disk_mb * MB
    }

    /// Half of the bytes may wait to be taken; workers share the other half.
    pub(crate) fn read_ahead(&self) -> ReadAhead {
        ReadAhead { workers: self.workers.max(1), bytes: self.ahead_mb * MB / 2, ..ReadAhead::default() }
    }

    /// Bytes of the patches of one sample that are made ahead. What a longer one has more is made by the step.
    pub(crate) fn sample_bytes(&self) -> u64 {
        self.ahead_mb * MB / 2 / self.workers.max(1) as u64
    }
}
