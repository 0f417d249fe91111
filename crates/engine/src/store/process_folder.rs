//! Folders that go with their process. What killed processes have left goes with the next one.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use zoetrope_system::files;

/// The file in a folder whose lock its process holds while it lives.
const LOCK: &str = "lock";
/// How long a folder with files and without that file is left alone.
const GRACE: Duration = Duration::from_secs(60);
/// How often a folder is made that others take for a leftover before it is locked.
const ATTEMPTS: usize = 3;

/// A folder of this process alone; removed when it is dropped.
pub struct ProcessFolder {
    folder: TempDir,
    /// Goes after the folder.
    _lock: File,
}

impl ProcessFolder {
    /// An empty folder in `parent`, with a name that begins with `prefix`.
    ///
    /// # Errors
    /// When the file system does not allow it.
    pub fn new(parent: &Path, prefix: &str) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
            let file = folder.path().join(LOCK);
            match files::lock(&file) {
                // Whoever had the lock before may have removed the folder with it.
                Ok(Some(lock)) if file.exists() => return Ok(ProcessFolder { folder, _lock: lock }),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "another process cleans up"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes the folders in `parent` whose names begin with `prefix` and whose processes live no more. Where the file
    /// system has no locks, that is not known, and they stay.
    pub fn remove_leftovers(parent: &Path, prefix: &str) {
        let found = fs::read_dir(parent).into_iter().flatten().flatten();
        for entry in found.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
            if is_dead(&entry)
                && let Err(error) = files::remove(&entry.path())
            {
                tracing::debug!("{}: {error}", entry.path().display());
            }
        }
    }
}

fn is_dead(entry: &fs::DirEntry) -> bool {
    match File::options().write(true).open(entry.path().join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) if error.kind() != io::ErrorKind::NotFound => false,
        // One that was killed before it had a lock has left an empty folder.
        Err(_) => age(entry) > GRACE || fs::remove_dir(entry.path()).is_ok(),
    }
}

fn age(entry: &fs::DirEntry) -> Duration {
    let modified = entry.metadata().and_then(|found| found.modified());
    modified.ok().and_then(|time| time.elapsed().ok()).unwrap_or_default()
}
