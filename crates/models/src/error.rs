//! The errors of this crate, by who must act.

use std::path::PathBuf;

/// Why a model could not be loaded or run. Texts name the file, the part and the number.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The caller asked for something that does not fit together.
    #[error("{0}")]
    Caller(String),
    /// A file of the checkpoint is missing or wrong.
    #[error("{}: {what}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file of the checkpoint is not there, or only a part of it: fetching it again helps.
    #[error("{}: {what}", file.display())]
    Incomplete {
        /// The file.
        file: PathBuf,
        /// What is missing.
        what: String,
    },
    /// A file or folder cannot be written.
    #[error("{}: {what}", file.display())]
    Output {
        /// The file or folder.
        file: PathBuf,
        /// Why not.
        what: String,
    },
    /// A limit would be exceeded.
    #[error("{what}: {number} is more than the limit of {limit}")]
    Limit {
        /// Which quantity.
        what: &'static str,
        /// What was asked.
        number: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Valid, but not done here.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The `text` crate.
    #[error(transparent)]
    Text(#[from] zoetrope_text::TextError),
    /// Tensor library.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A defect of ours.
    #[error("internal error, please report: {0}")]
    Bug(String),
}

/// The result of loading or running a model.
pub type ModelResult<T> = Result<T, ModelError>;
