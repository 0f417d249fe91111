//! Checkpoints by name: the Hugging Face hub and its cache.
//!
//! A name is a folder, or `org/name` with an optional `@revision`. The cache has the layout of `huggingface_hub`
//! (`blobs/`, `snapshots/`, `refs/`, locks), so each program finds what the other has downloaded. A model that is
//! complete in the cache needs no network; [`pull`] asks for a newer revision.
//!
//! Every file is checked: its length, and its SHA-256 (large files) or git hash (small files), which the hub sends as
//! the entity tag; of another form of tag only the length is checked. An interrupted download resumes. Only what a
//! model needs is downloaded: no code, and PyTorch files only where there are no safetensors (their reader executes
//! nothing).
//!
//! The client is ours, on `ureq` (36 crates with its checksums): hf-hub 1.0 brings 229, among them an async runtime and
//! a second storage protocol, hf-hub 0.4 brings 92, and neither verifies its downloads.
//!
//! Imports nothing of ours. Deliberately absent: what the files mean, any network access that no caller asked for.
#![forbid(unsafe_code)]

mod cache;
#[cfg(feature = "download")]
mod client;
#[cfg(feature = "download")]
mod download;
mod error;
mod name;
mod options;
mod progress;

use std::path::{Path, PathBuf};

pub use error::HubError;
pub use options::HubOptions;
pub use progress::DownloadProgress;

use name::RepoName;

/// The folder of a model without using the network: an existing folder as it is, else the complete cached snapshot of
/// that name, else `None`.
///
/// # Errors
/// [`HubError::Caller`] when the text is neither a folder nor a name.
pub fn cached(name_or_path: &str, options: &HubOptions) -> Result<Option<PathBuf>, HubError> {
    let path = Path::new(name_or_path);
    if path.is_dir() {
        return Ok(Some(path.to_path_buf()));
    }
    let repo = RepoName::parse(name_or_path)?;
    Ok(cache::Repo::new(&options.cache, &repo).complete_snapshot(&repo.revision))
}

/// Asks the hub for the model and downloads what the cache lacks; returns the folder of the snapshot. `progress` is
/// called when a file begins, about every quarter of a megabyte, and when it is complete.
///
/// # Errors
/// [`HubError`], by who must act. What has been downloaded stays and is used by the next call.
pub fn pull(name: &str, options: &HubOptions, progress: &mut dyn FnMut(DownloadProgress)) -> Result<PathBuf, HubError> {
    let repo = RepoName::parse(name)?;
    let cache = cache::Repo::new(&options.cache, &repo);
    if options.offline {
        let cached = cache.complete_snapshot(&repo.revision);
        return cached.ok_or_else(|| HubError::Offline { repo: repo.to_string(), cache: options.cache.clone() });
    }
    download(&repo, &cache, options, progress)
}

#[cfg(feature = "download")]
use download::download;

#[cfg(not(feature = "download"))]
fn download(
    repo: &RepoName,
    _: &cache::Repo,
    _: &HubOptions,
    _: &mut dyn FnMut(DownloadProgress),
) -> Result<PathBuf, HubError> {
    Err(HubError::Unsupported(format!(
        "{repo} is not in the cache, and this build cannot download models (feature `download`)"
    )))
}
