//! Why bytes are not read as a PyTorch file. [`super::PickleFile`] adds the file's name.

use std::path::Path;

use crate::error::ModelError;

/// A [`ModelError`] that does not know its file yet.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The bytes contradict the format or one another.
    Malformed(String),
    /// Valid, but not read here.
    Unsupported(String),
    /// More than is allowed.
    Limit {
        /// Which quantity.
        what: &'static str,
        /// How much the file has.
        number: usize,
        /// How much is allowed.
        limit: usize,
    },
}

impl ReadError {
    /// The error of the file at `path`.
    pub(super) fn of_file(self, path: &Path) -> ModelError {
        match self {
            ReadError::Malformed(what) => ModelError::File { file: path.to_path_buf(), what },
            ReadError::Unsupported(what) => ModelError::Unsupported(format!("{}: {what}", path.display())),
            ReadError::Limit { what, number, limit } => ModelError::Limit { what, number, limit },
        }
    }
}

/// A [`ReadError::Malformed`].
pub(super) fn malformed<T>(what: String) -> Result<T, ReadError> {
    Err(ReadError::Malformed(what))
}

/// A [`ReadError::Unsupported`].
pub(super) fn unsupported<T>(what: String) -> Result<T, ReadError> {
    Err(ReadError::Unsupported(what))
}

/// Refuses `number` of `what` above `limit`.
pub(super) fn check_limit(what: &'static str, number: usize, limit: usize) -> Result<(), ReadError> {
    if number > limit { Err(ReadError::Limit { what, number, limit }) } else { Ok(()) }
}
