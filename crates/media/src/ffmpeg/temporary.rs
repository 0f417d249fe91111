//! Temporary files that go with the process, however it ends.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// A file without a name, where an open file can be opened anew without one (Linux); elsewhere one that is removed when
/// it is dropped.
#[derive(Debug)]
pub(crate) struct TemporaryFile {
    file: File,
    name: Option<tempfile::TempPath>,
}

impl TemporaryFile {
    /// An empty file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn new() -> io::Result<TemporaryFile> {
        if cfg!(target_os = "linux") {
            return Ok(TemporaryFile { file: tempfile::tempfile()?, name: None });
        }
        let (file, name) = tempfile::NamedTempFile::new()?.into_parts();
        Ok(TemporaryFile { file, name: Some(name) })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Whether it has no name of its own.
    pub(crate) fn is_nameless(&self) -> bool {
        self.name.is_none()
    }

    /// The name under which it can be opened anew, with a position of its own.
    pub(crate) fn path(&self) -> PathBuf {
        self.name.as_ref().map_or_else(|| opened_again(&self.file), |name| name.to_path_buf())
    }
}

impl Write for TemporaryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The name under which an open file of this process can be opened anew (Linux).
pub(crate) fn opened_again(file: &File) -> PathBuf {
    #[cfg(unix)]
    return PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file)));
    #[cfg(not(unix))]
    {
        let _ = file;
        PathBuf::new()
    }
}
