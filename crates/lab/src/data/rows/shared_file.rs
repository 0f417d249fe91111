//! A file that several threads read at any place.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Bytes that [`SharedFile::pieces`] reads at once.
const PIECE: u64 = 1 << 20;

/// A file that is open for reading.
#[derive(Debug)]
pub(in crate::data) struct SharedFile {
    path: PathBuf,
    file: Mutex<File>,
}

impl SharedFile {
    /// Opens a file.
    pub(in crate::data) fn open(path: &Path) -> io::Result<Self> {
        Ok(SharedFile { path: path.to_path_buf(), file: Mutex::new(File::open(path)?) })
    }

    /// Where it lies.
    pub(in crate::data) fn path(&self) -> &Path {
        &self.path
    }

    /// The `size` bytes from `offset` on. The caller has checked `size` against a limit and the file.
    pub(in crate::data) fn read(&self, offset: u64, size: u64) -> io::Result<Vec<u8>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.by_ref().take(size).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != size {
            let text = format!("{} of {size} bytes at {offset}; the file has become shorter", bytes.len());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        Ok(bytes)
    }

    /// Calls `each` with the `size` bytes from `offset` on, a piece at a time.
    pub(in crate::data) fn pieces(&self, offset: u64, size: u64, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let end = offset.saturating_add(size);
        for at in (offset..end).step_by(PIECE as usize) {
            each(&self.read(at, PIECE.min(end - at))?);
        }
        Ok(())
    }
}
