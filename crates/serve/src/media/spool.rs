//! Bytes of media on disk while a request or an upload needs them: a folder that goes with the server. What a killed
//! server has left goes when the next one starts.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempPath};
use zoetrope_engine::ProcessFolder;

use crate::error::ApiError;

/// How the folders of all servers are called.
const PREFIX: &str = "zoetrope-spool-";

/// The folder, and how much lies in it.
pub(crate) struct Spool {
    folder: ProcessFolder,
    bytes: Arc<AtomicU64>,
    most: u64,
}

/// A file in the spool; removed when it is dropped.
pub(crate) struct Spooled {
    path: TempPath,
    pub(crate) digest: [u8; 32],
    pub(crate) bytes: u64,
    held: Held,
}

/// Bytes that count against the spool's limit.
struct Held {
    bytes: u64,
    all: Arc<AtomicU64>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

/// A file in the spool that is being written.
pub(crate) struct SpoolWriter {
    file: NamedTempFile,
    digest: Sha256,
    held: Held,
    most: u64,
    most_all: u64,
    refused: Option<ApiError>,
}

impl Spool {
    /// An empty spool of at most `most` bytes in a folder of its own below `parent`, or where the system has temporary
    /// files.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn new(parent: Option<&Path>, most: u64) -> std::io::Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        ProcessFolder::remove_leftovers(&parent, PREFIX);
        Ok(Spool { folder: ProcessFolder::new(&parent, PREFIX)?, bytes: Arc::default(), most })
    }

    /// Bytes that lie in it.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    /// A file of at most `most` bytes to write.
    pub(crate) fn writer(&self, most: u64) -> Result<SpoolWriter, ApiError> {
        let file = NamedTempFile::new_in(self.folder.path()).map_err(|error| disk(&error))?;
        let held = Held { bytes: 0, all: Arc::clone(&self.bytes) };
        Ok(SpoolWriter { file, digest: Sha256::new(), held, most, most_all: self.most, refused: None })
    }

    /// Bytes as a file.
    #[cfg(test)]
    pub(crate) fn keep(&self, bytes: &[u8]) -> Result<Spooled, ApiError> {
        let mut writer = self.writer(u64::MAX)?;
        writer.write(bytes)?;
        writer.finish()
    }
}

impl SpoolWriter {
    /// Writes the next bytes.
    ///
    /// # Errors
    /// 413 beyond the limit of a file, 507 beyond that of the spool, 500 when the disk fails.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        let new = bytes.len() as u64;
        if self.held.bytes + new > self.most {
            let text = format!("the file has more than {} bytes, which is the limit", self.most);
            return Err(too_large(text));
        }
        let before = self.held.all.fetch_add(new, Ordering::SeqCst);
        self.held.bytes += new;
        if before + new > self.most_all {
            return Err(ApiError::unavailable("there is no room for more media: delete files, or try again later"));
        }
        self.digest.update(bytes);
        self.file.write_all(bytes).map_err(|error| disk(&error))
    }

    /// The file as it is.
    pub(crate) fn finish(self) -> Result<Spooled, ApiError> {
        let mut file = self.file;
        file.flush().map_err(|error| disk(&error))?;
        let bytes = self.held.bytes;
        Ok(Spooled { path: file.into_temp_path(), digest: self.digest.finalize().into(), bytes, held: self.held })
    }
}

impl SpoolWriter {
    /// Why bytes were refused that came through [`Write`].
    pub(crate) fn refused(&mut self) -> Option<ApiError> {
        self.refused.take()
    }
}

impl Write for SpoolWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match SpoolWriter::write(self, bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(refused) => {
                let error = std::io::Error::other(refused.message.clone());
                self.refused = Some(refused);
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Spooled {
    /// Where it lies.
    pub(crate) fn path(&self) -> PathBuf {
        debug_assert_eq!(self.held.bytes, self.bytes);
        self.path.to_path_buf()
    }
}

pub(crate) fn too_large(text: String) -> ApiError {
    ApiError::request(axum::http::StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", text)
}

fn disk(error: &std::io::Error) -> ApiError {
    tracing::error!("temporary files: {error}");
    ApiError::unavailable("media cannot be stored now")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_a_killed_server_left_goes_with_the_next_and_the_living_keep_theirs() {
        let parent = tempfile::tempdir().expect("a folder");
        let living = Spool::new(Some(parent.path()), 10).expect("a spool");
        let kept = living.keep(b"12345").expect("a file");
        let dead = parent.path().join(format!("{PREFIX}dead"));
        let (begun, other) = (parent.path().join(format!("{PREFIX}begun")), parent.path().join("other"));
        for folder in [&dead, &begun, &other] {
            fs::create_dir(folder).expect("a folder");
            fs::write(folder.join("film"), b"12345").expect("a file");
        }
        for folder in [&dead, &other] {
            fs::write(folder.join("lock"), b"").expect("a lock");
        }
        let next = Spool::new(Some(parent.path()), 10).expect("a spool");
        assert!(!dead.exists(), "its lock is free");
        assert!(begun.exists() && other.exists(), "no lock yet, and not of a server");
        assert_eq!(fs::read(kept.path()).expect("bytes"), b"12345");
        assert!(living.folder.path().exists() && next.folder.path().exists());
    }

    #[test]
    fn a_file_is_bounded_counted_and_gone_with_its_last_user() {
        let spool = Spool::new(None, 10).expect("a spool");
        let one = spool.keep(b"12345").expect("a file");
        assert_eq!(std::fs::read(one.path()).expect("bytes"), b"12345");
        assert_eq!((spool.bytes(), one.bytes), (5, 5));
        let mut writer = spool.writer(3).expect("a writer");
        writer.write(b"123").expect("fits");
        assert_eq!(writer.write(b"4").expect_err("too large").status, 413);
        drop(writer);
        assert_eq!(spool.keep(b"123456").map(|_| ()).expect_err("no room").status, 503);
        let path = one.path();
        drop(one);
        assert!(!path.exists() && spool.bytes() == 0);
    }
}
