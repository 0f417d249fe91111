//! Files of strangers, opened and decoded in processes that have no rights.
//!
//! A [`Sandbox`] starts the program again as `PROGRAM media-child` and keeps such a process ready. The process takes
//! its rights away before it is given anything: limits on memory, processor time and descriptors; on Linux a filter of
//! system calls and rules for files. It then gets an open file over a socket and answers with what the file is and with
//! its frames. It reaches no network, no other file and no other process. What goes to FFmpeg is read in a second kind
//! of process, which may start programs and read system folders; it writes nothing and reaches no network either.
//!
//! A process that crashes, hangs or swells gives an error for the file that it had, and nothing else. The program's
//! `main` must call [`run`] first of all:
//!
//! ```no_run
//! if std::env::args().nth(1).as_deref() == Some(zoetrope_media::sandbox::ARGUMENT) {
//!     zoetrope_media::sandbox::run().ok();
//!     return;
//! }
//! ```

mod child;
mod clip;
mod frames;
mod opened_file;
mod options;
mod pool;
mod process;
mod wire;
mod wire_error;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

pub use child::run;
pub use clip::SandboxedClip;
pub use frames::SandboxedFrames;
pub use options::{ARGUMENT, SandboxOptions};

use crate::error::MediaError;
use crate::options::OpenOptions;
use pool::Pool;

/// Opens files in processes without rights. Cheap to clone; usable from several threads.
#[derive(Clone)]
pub struct Sandbox(Arc<Pool>);

impl Sandbox {
    /// Starts the processes that are kept ready. What the kernel lacks for them is told once, as a warning.
    ///
    /// # Errors
    /// `Unsupported` when the program does not answer as such a process, `Io` when it cannot be started.
    pub fn start(options: SandboxOptions) -> Result<Self, MediaError> {
        Pool::start_all(options).map(Sandbox)
    }

    /// Opens a file: what it is and the times of its frames.
    ///
    /// # Errors
    /// As [`crate::open`]; also `Malformed` and `Limit` when the process crashes, hangs or swells over the file.
    /// `Caller` for what is no regular file.
    pub fn open(&self, path: &Path, options: &OpenOptions) -> Result<SandboxedClip, MediaError> {
        // Opening a pipe would wait for its other end.
        if !std::fs::metadata(path)?.is_file() {
            return Err(MediaError::Caller("this is no regular file".into()));
        }
        self.open_file(File::open(path)?, options)
    }

    /// Opens bytes in memory, which go through a temporary file without a name.
    ///
    /// # Errors
    /// As [`Sandbox::open`], and `Io` when the temporary file cannot be written.
    pub fn open_bytes(&self, bytes: &[u8], options: &OpenOptions) -> Result<SandboxedClip, MediaError> {
        let mut file = tempfile::tempfile()?;
        file.write_all(bytes)?;
        self.open_file(file, options)
    }

    /// Opens a file that is open for reading.
    ///
    /// # Errors
    /// As [`Sandbox::open`].
    pub fn open_file(&self, file: File, options: &OpenOptions) -> Result<SandboxedClip, MediaError> {
        SandboxedClip::open(self.0.clone(), file, options)
    }
}

#[cfg(test)]
mod tests;
