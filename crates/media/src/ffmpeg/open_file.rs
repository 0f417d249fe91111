//! Open files, which can be opened anew: temporary ones, and such whose name may not be reachable.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// An open file, without a name where it can be opened anew without one (Linux).
#[derive(Debug)]
pub(crate) struct OpenFile {
    file: File,
    /// Removed with it.
    name: Option<tempfile::TempPath>,
}

impl OpenFile {
    /// An empty temporary file. On Linux it has no name and goes with the process, however that ends.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn temporary() -> io::Result<OpenFile> {
        if cfg!(target_os = "linux") {
            return Ok(OpenFile { file: tempfile::tempfile()?, name: None });
        }
        let (file, name) = tempfile::NamedTempFile::new()?.into_parts();
        Ok(OpenFile { file, name: Some(name) })
    }

    /// A file whose name may not be reachable. Linux only.
    #[cfg(unix)]
    pub(crate) fn nameless(file: File) -> OpenFile {
        OpenFile { file, name: None }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Whether only this process can open it.
    pub(crate) fn is_nameless(&self) -> bool {
        self.name.is_none()
    }

    /// The name under which it can be opened anew, with a position of its own.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.name {
            Some(name) => name.to_path_buf(),
            #[cfg(unix)]
            None => format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&self.file)).into(),
            #[cfg(not(unix))]
            None => PathBuf::new(),
        }
    }
}

impl Write for OpenFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
