//! What a download tells whoever asked for it, and asks them.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// How far a download is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadProgress {
    /// The file that is being downloaded.
    pub file: String,
    /// Bytes of this file that are on disk.
    pub file_done: u64,
    /// Bytes of this file.
    pub file_total: u64,
    /// Bytes of all files that are on disk, cached ones included.
    pub done: u64,
    /// Bytes of all files.
    pub total: u64,
}

/// Follows a download and decides about it. Every method has a default that does nothing.
pub trait Watch {
    /// Called when a file begins, about every quarter of a megabyte, and when it is complete.
    fn progress(&mut self, _: DownloadProgress) {}

    /// Called before a pause after which a request is tried again.
    fn retry(&mut self, _: Retry<'_>) {}

    /// Called once the small files of a model are in `folder` and before any of its weights is asked for.
    ///
    /// # Errors
    /// Why the weights are of no use; [`crate::HubError::Refused`] carries it to the caller.
    fn admit(&mut self, _folder: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

/// Watches nothing and takes every model.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {}

/// A passing trouble.
#[derive(Clone, Copy, Debug)]
pub struct Retry<'a> {
    /// What was asked for.
    pub url: &'a str,
    /// What happened.
    pub why: &'a str,
    /// How long the pause is.
    pub pause: Duration,
    /// The attempt that follows: 1 is the first repetition.
    pub attempt: u32,
    /// How many there are at most.
    pub most: u32,
}
