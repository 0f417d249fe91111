//! Models by name: the Hugging Face hub and its cache.
//!
//! A name is a folder, or `org/name` with an optional `@revision`. Files lie in the same cache, in the same layout, as
//! those that `huggingface_hub` fetches (`blobs/`, `snapshots/`, `refs/`, locks), so each finds what the other has.
//! Nothing is asked of the network for a model that is complete in the cache; [`pull`] is the way to a newer revision.
//!
//! Every file is checked: its length, and its SHA-256 (large files) or git hash (small ones), which the hub gives as
//! the entity tag. A broken download goes on where it stopped. Only what a model needs is fetched, no code, no pickles.
//!
//! The client is ours, on `ureq` (36 crates with its checksums): hf-hub 1.0 brings 229, among them an async runtime and
//! a second storage protocol, hf-hub 0.4 brings 92, and neither checks what it has fetched.

#[cfg(feature = "hub")]
mod client;
#[cfg(feature = "hub")]
mod download;

mod cache;
mod error;
mod name;
mod options;

use std::path::{Path, PathBuf};

pub use error::HubError;
pub use options::HubOptions;

use name::RepoName;

/// How far a download is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The file that is being fetched.
    pub file: String,
    /// Bytes of this file that are there.
    pub file_done: u64,
    /// Bytes of this file.
    pub file_total: u64,
    /// Bytes of all files that are there; what the cache had already counts.
    pub done: u64,
    /// Bytes of all files.
    pub total: u64,
}

/// The folder of a model: an existing folder as it is; else the cached model of that name, fetched when it is not
/// complete in the cache.
///
/// # Errors
/// [`HubError`], by who must act; see there.
pub fn resolve(name_or_path: &str, options: &HubOptions) -> Result<PathBuf, HubError> {
    match cached(name_or_path, options)? {
        Some(folder) => Ok(folder),
        None => pull(name_or_path, options, &mut |_| {}),
    }
}

/// Like [`resolve`], without the network: `None` when the model would have to be fetched.
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

/// Asks the hub for the model and fetches what the cache lacks. `progress` is called when a file begins, about every
/// quarter of a megabyte, and when it is complete. The answer is the folder of the snapshot.
///
/// # Errors
/// [`HubError`], by who must act; what has been fetched stays and is used by the next call.
pub fn pull(name: &str, options: &HubOptions, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf, HubError> {
    let repo = RepoName::parse(name)?;
    let cache = cache::Repo::new(&options.cache, &repo);
    if options.offline {
        let cached = cache.complete_snapshot(&repo.revision);
        return cached.ok_or_else(|| HubError::Offline { repo: repo.to_string(), cache: options.cache.clone() });
    }
    fetch(&repo, &cache, options, progress)
}

#[cfg(feature = "hub")]
use download::fetch;

#[cfg(not(feature = "hub"))]
fn fetch(repo: &RepoName, _: &cache::Repo, _: &HubOptions, _: &mut dyn FnMut(Progress)) -> Result<PathBuf, HubError> {
    Err(HubError::Unsupported(format!(
        "{repo} is not in the cache, and this build cannot fetch models (feature `hub`)"
    )))
}
