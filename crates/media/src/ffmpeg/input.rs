//! What FFmpeg reads: one file, and nothing that a file may name.
//!
//! From FFmpeg 6.0 on it gets the open file as its standard input and may use no protocol but `fd`, so a playlist
//! inside a file opens nothing. Older programs get an absolute name and may use `file`. Both can seek, which most
//! formats need.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use super::open_file::OpenFile;
use super::process::Features;
use crate::container::byte_source::ByteSource;
use crate::error::MediaError;

/// Bytes that are copied at once.
const COPIED: usize = 1 << 20;

/// Where the bytes for FFmpeg are.
pub(crate) enum FfmpegInput {
    /// A file by its path.
    File(PathBuf),
    /// A file that is open in this process.
    Open(OpenFile),
    /// Bytes without a file of their own. They go through a temporary file, because most formats need seeking.
    Bytes(ByteSource),
}

/// Writes all bytes of a source, some at a time.
fn copy(bytes: &ByteSource, file: &mut impl Write) -> Result<(), MediaError> {
    let mut buffer = vec![0; COPIED];
    let mut at = 0;
    while at < bytes.len() {
        let read = bytes.read_some(at, &mut buffer)?;
        if read == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        file.write_all(&buffer[..read])?;
        at += read as u64;
    }
    Ok(())
}

/// A file that FFmpeg can be started on, any number of times.
pub(super) struct InputFile {
    path: PathBuf,
    by_descriptor: bool,
    /// The file itself, where it goes with the clip.
    open: Option<OpenFile>,
}

impl InputFile {
    /// Writes bytes to a temporary file, and makes a path absolute.
    ///
    /// # Errors
    /// `Io` when the temporary file cannot be written.
    pub(super) fn new(input: FfmpegInput, features: Features) -> Result<Self, MediaError> {
        let by_descriptor = features.descriptor_input;
        let (path, open) = match input {
            FfmpegInput::File(path) => (std::path::absolute(path)?, None),
            FfmpegInput::Open(file) => (file.path(), Some(file)),
            FfmpegInput::Bytes(bytes) => {
                let mut file = OpenFile::temporary()?;
                copy(&bytes, &mut file)?;
                (file.path(), Some(file))
            }
        };
        Ok(InputFile { path, by_descriptor, open })
    }

    /// Whether only this process can open it.
    fn is_nameless(&self) -> bool {
        self.open.as_ref().is_some_and(OpenFile::is_nameless)
    }

    /// Standard input for one run. Every run opens the file anew, because a descriptor's copies share one position.
    ///
    /// # Errors
    /// `Io` when the file cannot be opened any more.
    pub(super) fn standard_input(&self) -> Result<Stdio, MediaError> {
        Ok(if self.by_descriptor || self.is_nameless() { File::open(&self.path)?.into() } else { Stdio::null() })
    }

    /// The protocol that FFmpeg may use.
    pub(super) fn protocol(&self) -> &'static str {
        if self.by_descriptor { "fd" } else { "file" }
    }

    /// The name after `-i`. The prefix keeps FFmpeg from reading options or protocols out of a file's name.
    pub(super) fn name(&self) -> OsString {
        if self.by_descriptor {
            return "fd:".into();
        }
        if self.is_nameless() {
            // An older program opens its standard input anew.
            return "file:/proc/self/fd/0".into();
        }
        let mut name = OsString::from("file:");
        name.push(&self.path);
        name
    }
}
