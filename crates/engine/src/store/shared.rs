//! The store as its users see it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use zoetrope_models::contract::feature_file::StoredFeatures;
use zoetrope_system::files;

use super::content;
use super::entry::{self, EntryKind, EntryTexts, HEADER, Key};
use super::files::{Files, NewEntry, StoredFile};
use super::queue::WriteQueue;

/// Bytes that a store takes when nothing else is said, where the disk is large.
const MOST_BYTES: u64 = 20_000_000_000;
/// The share of a disk that it takes at most.
const DISK_SHARE: u64 = 10;
/// A use is noted when the last one is so long ago.
const NOTED: Duration = Duration::from_secs(60);
/// Files of this many bytes are read again for each question; the digest of larger ones is kept.
const REMEMBERED: u64 = 64 << 20;

/// Where a store lies and what it may take.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The folder; it is made.
    pub folder: PathBuf,
    /// Bytes of all files; when `None`, 20 GB or a tenth of the disk, whichever is less.
    pub most_bytes: Option<u64>,
    /// Bytes of the disk that are left free.
    pub keep_free: u64,
    /// Bytes that wait in memory to be written; what is more than these is not kept.
    pub waiting_bytes: usize,
}

impl StoreOptions {
    /// A store in `folder` with the usual limits.
    pub fn new(folder: PathBuf) -> Self {
        StoreOptions { folder, most_bytes: None, keep_free: 1 << 30, waiting_bytes: 256 << 20 }
    }
}

/// Files of computed things, shared by all threads and models of this process, and by other processes. Dropping it
/// waits until what was handed to it is written.
pub struct Store {
    // Before the files, which its jobs hold.
    queue: WriteQueue,
    files: Arc<Files>,
    /// Whether a failed write has been told.
    has_failed: Arc<AtomicBool>,
}

impl Store {
    /// Opens the store; what killed processes left unfinished is removed.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(options: StoreOptions) -> io::Result<Arc<Store>> {
        let StoreOptions { folder, most_bytes, keep_free, waiting_bytes } = options;
        files::create_private_folder(&folder)?;
        let share = files::disk_space(&folder)?.map_or(MOST_BYTES, |space| space.total / DISK_SHARE);
        let most = most_bytes.unwrap_or(share.min(MOST_BYTES));
        let files = Arc::new(Files::open(&folder, most, keep_free)?);
        Ok(Arc::new(Store { queue: WriteQueue::new(waiting_bytes), files, has_failed: Arc::default() }))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.files.folder()
    }

    /// Bytes that it may take.
    pub fn most_bytes(&self) -> u64 {
        self.files.most()
    }

    /// All files.
    pub fn files(&self) -> Vec<StoredFile> {
        self.files.list()
    }

    /// Removes what was not used for the longest time until at most `most` bytes are left; files and bytes that went.
    pub fn shrink(&self, most: u64) -> (usize, u64) {
        self.files.shrink(most)
    }

    /// Files whose checksum is another one; reads all of them.
    pub fn damaged(&self) -> Vec<StoredFile> {
        self.files.list().into_iter().filter(|file| !file.is_whole()).collect()
    }

    /// Waits until everything that was handed over is written.
    pub fn flush(&self) {
        self.queue.flush();
    }

    /// The digest of a file's content ([`super::content_digest`]); that of a large file is remembered as long as it
    /// is not changed.
    ///
    /// # Errors
    /// When it cannot be read, or is no regular file.
    pub fn content_digest(&self, file: &Path) -> io::Result<Key> {
        let state = content::state_of(file)?;
        if state.bytes < REMEMBERED {
            return content::content_digest(file);
        }
        if let Some(digest) = self.payload(EntryKind::Digest, &state.key, 32)
            && let Some(digest) = digest.first_chunk()
        {
            return Ok(*digest);
        }
        let digest = content::content_digest(file)?;
        if content::state_of(file)?.key == state.key {
            let film = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let texts = EntryTexts { film, ..EntryTexts::default() };
            self.put(EntryKind::Digest, state.key, texts, 32, 32, move |out| out.write_all(&digest));
        }
        Ok(digest)
    }

    /// Bytes of the file of an entry, when it is there. It counts as used now.
    pub(super) fn find(&self, kind: EntryKind, key: &Key) -> Option<u64> {
        let place = self.files.place(kind, key);
        let found = place.metadata().ok()?;
        let is_old = |used: SystemTime| used.elapsed().is_ok_and(|age| age > NOTED);
        if found.modified().is_ok_and(is_old) {
            let noted = OpenOptions::new().write(true).open(&place);
            if let Err(error) = noted.and_then(|file| file.set_modified(SystemTime::now())) {
                tracing::debug!("{}: {error}", place.display());
            }
        }
        Some(found.len())
    }

    /// The payload of an entry, `wanted` bytes. A damaged file is removed and counts as none.
    pub(super) fn payload(&self, kind: EntryKind, key: &Key, wanted: usize) -> Option<Vec<u8>> {
        let place = self.files.place(kind, key);
        let read = entry::payload(&place, kind, key, wanted);
        sound(&place, read)
    }

    /// The features of `key`, mapped. A damaged file is removed and counts as none.
    pub(super) fn features(&self, key: &Key) -> Option<StoredFeatures> {
        let place = self.files.place(EntryKind::Features, key);
        sound(&place, entry::check(&place, EntryKind::Features, key))?;
        let opened = StoredFeatures::open_behind(&place, HEADER);
        sound(&place, opened.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)))
    }

    /// Whether an entry that holds `bytes` of memory would be taken now.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.queue.has_room(bytes)
    }

    /// Lets an entry be written, unless too much waits already. `memory` are the bytes that `write` holds, `payload`
    /// those that it writes.
    pub(super) fn put(
        &self,
        kind: EntryKind,
        key: Key,
        texts: EntryTexts,
        memory: usize,
        payload: u64,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> bool {
        let (files, has_failed) = (Arc::clone(&self.files), Arc::clone(&self.has_failed));
        self.queue.push(memory, move || {
            let written = files.put(NewEntry { kind, key, texts, payload, write });
            match written {
                Ok(_) => {}
                Err(error) if !has_failed.swap(true, Ordering::Relaxed) => {
                    tracing::warn!("{}: not kept: {error}", files.folder().display());
                }
                Err(error) => tracing::debug!("{}: not kept: {error}", files.folder().display()),
            }
        })
    }
}

/// What was read; a file that is there and damaged is removed.
fn sound<T>(place: &Path, read: io::Result<T>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            tracing::warn!("{}: removed: {error}", place.display());
            if let Err(error) = files::remove(place) {
                tracing::warn!("{}: {error}", place.display());
            }
            None
        }
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::debug!("{}: {error}", place.display());
            }
            None
        }
    }
}
