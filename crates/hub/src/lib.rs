//! Checkpoints by name: the Hugging Face hub and its cache.
//!
//! A name is a folder, or `org/name` with an optional `@revision`, also as it is pasted from a browser. The cache has
//! the layout of `huggingface_hub` (`blobs/`, `snapshots/`, `refs/`, locks), so each program finds what the other has
//! downloaded. A model that is complete in the cache needs no network; [`pull`] asks for a newer revision. What is
//! half there is completed.
//!
//! Of a model there is an outline (configuration, tokenizer, templates) and the whole; a caller who knows what the
//! files mean decides between the two whether the weights are wanted ([`Watch::admit`]). [`preview`] adds the names,
//! types and shapes of the tensors to an outline.
//!
//! Every file is checked: its length, and its SHA-256 (large files) or git hash (small files), which the hub sends as
//! the entity tag; of another form of tag only the length is checked. An interrupted download resumes. Only what a
//! model needs is downloaded: no code, and PyTorch files only where there are no safetensors (their reader executes
//! nothing).
//!
//! The client is ours, on `ureq`. hf-hub 1.0 checks no sum, resumes nothing, and brings 236 crates with an async
//! runtime; large files of the hub's newer storage (Xet) come over plain HTTP as well.
//!
//! [`fetch`] downloads a file by an address that a stranger named, within limits and from public addresses only.
//!
//! Imports nothing of ours. Deliberately absent: what the files mean, any network access that no caller asked for.
#![forbid(unsafe_code)]

mod cache;
#[cfg(feature = "download")]
mod checksum;
#[cfg(feature = "download")]
mod client;
mod contents;
#[cfg(feature = "download")]
mod download;
mod error;
#[cfg(feature = "download")]
pub mod fetch;
#[cfg(feature = "download")]
mod job;
mod name;
#[cfg(feature = "download")]
mod net;
mod options;
#[cfg(feature = "download")]
mod preview;
mod progress;

use std::path::{Path, PathBuf};

pub use contents::Extent;
pub use error::HubError;
pub use options::{CertificatePath, HubOptions, Proxies};
#[cfg(feature = "download")]
pub use preview::Preview;
pub use progress::{DownloadProgress, Retry, Unwatched, Watch};

use cache::{Held, Repo};
use name::RepoName;

/// The folder of a model without using the network: an existing folder as it is, else the cached snapshot of that name
/// when it has all that `extent` needs, else `None`.
///
/// # Errors
/// [`HubError::Caller`] when the text is neither a folder nor a name.
pub fn cached(name_or_path: &str, extent: Extent, options: &HubOptions) -> Result<Option<PathBuf>, HubError> {
    if let Some(folder) = folder(name_or_path) {
        return Ok(Some(folder));
    }
    let repo = RepoName::parse(name_or_path, &options.endpoint)?;
    match Repo::new(&options.cache, &repo).held(&repo.revision, extent) {
        Held::All(folder) | Held::Enough(folder) => Ok(Some(folder)),
        Held::Part(_) => Ok(None),
    }
}

/// The folder of a model: an existing folder as it is, else the cached snapshot, completed from the hub where something
/// is missing.
///
/// # Errors
/// [`HubError`], by who must act. What has been downloaded stays and is used by the next call.
pub fn resolve(
    name_or_path: &str,
    extent: Extent,
    options: &HubOptions,
    watch: &mut dyn Watch,
) -> Result<PathBuf, HubError> {
    if let Some(folder) = folder(name_or_path) {
        return Ok(folder);
    }
    let repo = RepoName::parse(name_or_path, &options.endpoint)?;
    let cache = Repo::new(&options.cache, &repo);
    match cache.held(&repo.revision, extent) {
        Held::All(folder) => Ok(folder),
        Held::Enough(folder) if options.offline => Ok(folder),
        Held::Enough(folder) => Ok(completed(&repo, &cache, extent, options, watch)?.unwrap_or(folder)),
        Held::Part(missing) if options.offline => Err(offline(&repo, options, missing)),
        Held::Part(_) => download(&repo, &cache, extent, options, watch),
    }
}

/// Asks the hub for the model and downloads what the cache lacks; returns the folder of the snapshot.
///
/// # Errors
/// [`HubError`], by who must act. What has been downloaded stays and is used by the next call.
pub fn pull(name: &str, options: &HubOptions, watch: &mut dyn Watch) -> Result<PathBuf, HubError> {
    let repo = RepoName::parse(name, &options.endpoint)?;
    let cache = Repo::new(&options.cache, &repo);
    if !options.offline {
        return download(&repo, &cache, Extent::Whole, options, watch);
    }
    match cache.held(&repo.revision, Extent::Whole) {
        Held::All(folder) | Held::Enough(folder) => Ok(folder),
        Held::Part(missing) => Err(offline(&repo, options, missing)),
    }
}

/// A model without the values of its weights: what [`resolve`] gives for [`Extent::Outline`], and beside it weight
/// files whose headers alone are fetched. A folder and what is whole in the cache are given as they are.
///
/// # Errors
/// As [`resolve`].
#[cfg(feature = "download")]
pub fn preview(name_or_path: &str, options: &HubOptions, watch: &mut dyn Watch) -> Result<Preview, HubError> {
    let outline = resolve(name_or_path, Extent::Outline, options, watch)?;
    if folder(name_or_path).is_some() {
        return Ok(Preview::of(outline));
    }
    let repo = RepoName::parse(name_or_path, &options.endpoint)?;
    watch.admit(&outline).map_err(HubError::Refused)?;
    preview::preview(&repo, &Repo::new(&options.cache, &repo), outline, options, watch)
}

fn folder(text: &str) -> Option<PathBuf> {
    Some(Path::new(text)).filter(|path| path.is_dir()).map(Path::to_path_buf)
}

fn offline(repo: &RepoName, options: &HubOptions, missing: Vec<String>) -> HubError {
    HubError::Offline { repo: repo.to_string(), cache: options.cache.clone(), missing }
}

/// Asks once for what a model may have; `None` when the hub cannot be asked, which is no reason not to use the model.
fn completed(
    repo: &RepoName,
    cache: &Repo,
    extent: Extent,
    options: &HubOptions,
    watch: &mut dyn Watch,
) -> Result<Option<PathBuf>, HubError> {
    let once = HubOptions { retries: 0, timeout: options.timeout.min(ONCE), ..options.clone() };
    match download(repo, cache, extent, &once, watch) {
        Ok(folder) => Ok(Some(folder)),
        Err(HubError::Refused(error)) => Err(HubError::Refused(error)),
        Err(_) => Ok(None),
    }
}

/// How long a question waits that need not be answered.
const ONCE: std::time::Duration = std::time::Duration::from_secs(5);

#[cfg(feature = "download")]
use download::download;

#[cfg(not(feature = "download"))]
fn download(repo: &RepoName, _: &Repo, _: Extent, _: &HubOptions, _: &mut dyn Watch) -> Result<PathBuf, HubError> {
    Err(HubError::Unsupported(format!(
        "{repo} is not in the cache, and this build cannot download models (feature `download`)"
    )))
}
