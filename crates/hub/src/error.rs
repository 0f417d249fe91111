//! The errors of the hub, by who must act.

use std::error::Error;
use std::path::PathBuf;

/// Why a model could not be had by name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The caller's text is neither a folder nor a name.
    #[error("{0}")]
    Caller(String),
    /// A variable of the environment makes no sense; the text names it.
    #[error("{0}")]
    Setting(String),
    /// The hub has no such model, revision or file.
    #[error("{repo}: {endpoint} has no such {what}; check the spelling (a private model needs HF_TOKEN)")]
    NotFound {
        /// The model.
        repo: String,
        /// Whom we asked.
        endpoint: String,
        /// What is missing: "model", "revision", "file F".
        what: String,
    },
    /// The hub does not let this user in.
    #[error("{repo}: {endpoint} refuses access (status {status}): {remedy}")]
    Gated {
        /// The model.
        repo: String,
        /// Whom we asked.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// What the user can do.
        remedy: String,
    },
    /// Not in the cache, and the network may not be used.
    #[error(
        "{repo} is not complete in the cache {} ({} missing), and HF_HUB_OFFLINE forbids fetching it",
        cache.display(), list(missing)
    )]
    Offline {
        /// The model.
        repo: String,
        /// The cache.
        cache: PathBuf,
        /// The files that are missing.
        missing: Vec<String>,
    },
    /// The hub cannot be reached or breaks off.
    #[error("{repo}: {url}: {why}{}", kept(url))]
    Network {
        /// The model.
        repo: String,
        /// What was asked for.
        url: String,
        /// What happened.
        why: String,
    },
    /// The server's certificate is of no authority that is trusted.
    #[error("{repo}: {url}: {why}")]
    Certificate {
        /// The model.
        repo: String,
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// What arrived is not what the hub announced. The bad copy has been deleted.
    #[error(
        "{repo}: {file}: checksum {found} instead of {expected}; the damaged copy has been deleted, fetch it again"
    )]
    Checksum {
        /// The model.
        repo: String,
        /// The file.
        file: String,
        /// What the hub announced.
        expected: String,
        /// What arrived.
        found: String,
    },
    /// A file of the cache cannot be read or written.
    #[error("{}: {what}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The cache cannot be written, and something is missing in it.
    #[error("the cache of models cannot be written: {}: {what}", file.display())]
    ReadOnly {
        /// The file.
        file: PathBuf,
        /// What the system says.
        what: String,
    },
    /// The disk of the cache is too small for what is still to be fetched.
    #[error(
        "{repo}: {} are still to be fetched, the disk of the cache {} has {} free",
        bytes(*needed), cache.display(), bytes(*free)
    )]
    Space {
        /// The model.
        repo: String,
        /// The cache.
        cache: PathBuf,
        /// Bytes that are missing.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The hub's answer makes no sense.
    #[error("{repo}: answer of {url} is malformed: {what}")]
    Malformed {
        /// The model.
        repo: String,
        /// What was asked for.
        url: String,
        /// What is wrong.
        what: String,
    },
    /// The model exists in a form that is not read here.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// [`crate::Watch::admit`] does not want the weights.
    #[error(transparent)]
    Refused(Box<dyn Error + Send + Sync>),
}

#[cfg(feature = "download")]
impl HubError {
    /// A file of the cache that cannot be written or read.
    pub(crate) fn cache(file: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        let (file, what) = (file.into(), error.to_string());
        match error.kind() {
            ReadOnlyFilesystem | PermissionDenied => HubError::ReadOnly { file, what },
            _ => HubError::File { file, what },
        }
    }
}

/// What becomes of a file that was being fetched; nothing is lost where the hub was asked what there is.
fn kept(url: &str) -> &'static str {
    match url.contains("/api/models/") {
        true => "",
        false => "; what has been fetched is kept, and the next attempt goes on from there",
    }
}

/// Some names; of many the first ones.
fn list(names: &[String]) -> String {
    match names {
        [one, two, three, rest @ ..] if !rest.is_empty() => format!("{one}, {two}, {three} and {} more", rest.len()),
        names => names.join(", "),
    }
}

/// A size as people read it, exact where it is small.
fn bytes(n: u64) -> String {
    match n {
        0..10_000_000 => format!("{n} bytes"),
        10_000_000..10_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}
