//! The errors of the hub, by who must act.

use std::path::PathBuf;

/// Why a model could not be had by name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The caller's text is neither a folder nor a name.
    #[error("{0}")]
    Caller(String),
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
    #[error("{repo} is not complete in the cache {}, and HF_HUB_OFFLINE forbids fetching it", cache.display())]
    Offline {
        /// The model.
        repo: String,
        /// The cache.
        cache: PathBuf,
    },
    /// The hub cannot be reached or breaks off.
    #[error("{repo}: {url}: {why}; what has been fetched is kept, and the next attempt goes on from there")]
    Network {
        /// The model.
        repo: String,
        /// What was asked for.
        url: String,
        /// What happened.
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
}

#[cfg(feature = "download")]
impl HubError {
    /// A file of the cache.
    pub(crate) fn file(file: impl Into<PathBuf>, what: impl ToString) -> Self {
        HubError::File { file: file.into(), what: what.to_string() }
    }
}
