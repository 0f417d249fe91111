//! Where the files of a checkpoint are read from.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::error::TextError;

/// The files of a checkpoint by name: a folder, or something like one.
pub trait TextFiles {
    /// The bytes of the file `name`; `None` when there is none.
    ///
    /// # Errors
    /// [`TextError::Limit`] (of `what`) for more than `limit` bytes, [`TextError::File`] when it cannot be read.
    fn read(&self, name: &str, limit: u64, what: &'static str) -> Result<Option<Vec<u8>>, TextError>;

    /// The path that errors name.
    fn path(&self, name: &str) -> PathBuf;
}

impl TextFiles for Path {
    fn read(&self, name: &str, limit: u64, what: &'static str) -> Result<Option<Vec<u8>>, TextError> {
        let path = self.join(name);
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(TextError::file(path, error)),
        };
        let length = file.metadata().map_err(|error| TextError::file(&path, error))?.len();
        check_limit(length, limit, what)?;
        let mut bytes = Vec::new();
        // One byte more, so that a file that grew meanwhile is noticed.
        file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| TextError::file(&path, error))?;
        check_limit(bytes.len() as u64, limit, what)?;
        Ok(Some(bytes))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.join(name)
    }
}

/// Fails when `bytes` is more than `limit`.
fn check_limit(bytes: u64, limit: u64, what: &'static str) -> Result<(), TextError> {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    if bytes > limit {
        return Err(TextError::Limit { what, number: number(bytes), limit: number(limit) });
    }
    Ok(())
}
