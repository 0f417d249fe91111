//! The files of the store: where they lie, how they appear, and which go when there are too many.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use zoetrope_system::files;

use super::entry::{self, EntryKind, EntryTexts, HEADER, Header, Key};
use super::process_folder::ProcessFolder;

/// The folder of files that are being written.
const UNFINISHED: &str = "unfinished";
/// Of the bytes that are allowed, the share that one process writes before it looks again at what there is, and twice
/// that share is freed when there is too much: another process may write as well.
const SHARE: u64 = 16;

/// What a file of the store takes and when it was used.
#[derive(Clone, Debug)]
pub struct StoredFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub kind: EntryKind,
    /// Its size.
    pub bytes: u64,
    /// When it was written or used last.
    pub used: SystemTime,
}

impl StoredFile {
    /// Whether it is the entry that it is named as; reads all of it.
    pub fn is_whole(&self) -> bool {
        let digits = self.path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let byte = |at: usize| digits.get(2 * at..2 * at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let key: Key = std::array::from_fn(|at| byte(at).unwrap_or_default());
        entry::check(&self.path, self.kind, &key).is_ok()
    }

    /// The model and the film that its header names; `None` when it has no header of this version.
    pub fn names(&self) -> Option<(String, String)> {
        entry::header(&self.path).ok().map(|header| (header.texts.model, header.texts.film))
    }
}

/// What is to be written.
pub(super) struct NewEntry<W> {
    pub(super) kind: EntryKind,
    pub(super) key: Key,
    pub(super) texts: EntryTexts,
    /// Bytes of the payload.
    pub(super) payload: u64,
    /// Writes the payload.
    pub(super) write: W,
}

/// How many bytes there are, as far as is known.
#[derive(Default)]
struct Known {
    bytes: Option<u64>,
    /// Bytes written since all were counted.
    since: u64,
}

/// The folder.
pub(super) struct Files {
    folder: PathBuf,
    most: u64,
    keep_free: u64,
    known: Mutex<Known>,
    /// For unfinished files of this process.
    workplace: Mutex<Option<ProcessFolder>>,
    written: AtomicU64,
}

impl Files {
    /// The store in `folder`, which is made. What killed processes left is removed.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(super) fn open(folder: &Path, most: u64, keep_free: u64) -> io::Result<Self> {
        files::create_private_folder(folder)?;
        let (known, workplace) = (Mutex::default(), Mutex::new(None));
        ProcessFolder::remove_leftovers(&folder.join(UNFINISHED), "");
        Ok(Files { folder: folder.to_path_buf(), most, keep_free, known, workplace, written: AtomicU64::new(0) })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// Where the entry of `key` lies.
    pub(super) fn place(&self, kind: EntryKind, key: &Key) -> PathBuf {
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(&name[..2]).join(name + "." + kind.ending())
    }

    /// Writes an entry unless it is there; whether it was written. One for which there is no room is not.
    ///
    /// # Errors
    /// When the disk fails; nothing is left then.
    pub(super) fn put(&self, entry: NewEntry<impl FnOnce(&mut dyn Write) -> io::Result<()>>) -> io::Result<bool> {
        let NewEntry { kind, key, texts, payload, write } = entry;
        let (place, bytes) = (self.place(kind, &key), payload.saturating_add(HEADER as u64));
        // One of another size is damaged, and is replaced.
        let is_there = place.metadata().is_ok_and(|found| found.len() == bytes);
        if is_there || !self.make_room(bytes)? {
            return Ok(false);
        }
        let (mut file, unfinished) = self.unfinished()?;
        let header = Header { kind, key, payload, texts };
        let whole = entry::write(&mut file, &header, write).and_then(|()| file.sync_all());
        drop(file);
        let folder = place.parent().unwrap_or(&self.folder);
        let placed = whole.and_then(|()| {
            files::create_private_folder(folder)?;
            fs::rename(&unfinished, &place)
        });
        if placed.is_err() {
            // The disk may be full: what is half written goes.
            let _ = fs::remove_file(&unfinished);
        }
        placed?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.bytes = known.bytes.map(|known| known.saturating_add(bytes));
        known.since = known.since.saturating_add(bytes);
        Ok(true)
    }

    /// A new file in this process's workplace, which is made when it is not there (any more).
    fn unfinished(&self) -> io::Result<(File, PathBuf)> {
        let mut workplace = self.workplace.lock().unwrap_or_else(PoisonError::into_inner);
        let name = self.written.fetch_add(1, Ordering::Relaxed).to_string();
        let create = |path: &Path| OpenOptions::new().write(true).create_new(true).open(path);
        if let Some(workplace) = &*workplace {
            let path = workplace.path().join(&name);
            match create(&path) {
                Ok(file) => return Ok((file, path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let unfinished = self.folder.join(UNFINISHED);
        files::create_private_folder(&unfinished)?;
        let folder = ProcessFolder::new(&unfinished, "")?;
        let path = folder.path().join(&name);
        *workplace = Some(folder);
        Ok((create(&path)?, path))
    }

    /// Whether `bytes` may be written now; what was not used for the longest time goes for them.
    fn make_room(&self, bytes: u64) -> io::Result<bool> {
        if bytes > self.most {
            return Ok(false);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |all: u64| all.saturating_add(bytes) <= self.most;
        let is_fresh = known.since.saturating_add(bytes) <= self.most / SHARE;
        if !(is_fresh && known.bytes.is_some_and(fits)) {
            let mut found = self.list();
            let mut all = found.iter().map(|file| file.bytes).sum();
            if !fits(all) {
                let goal = (self.most - self.most / SHARE * 2).saturating_sub(bytes);
                all = remove_oldest(&mut found, all, goal);
            }
            *known = Known { bytes: Some(all), since: 0 };
        }
        let space = files::disk_space(&self.folder)?;
        let is_free = space.is_none_or(|space| space.available >= bytes.saturating_add(self.keep_free));
        Ok(is_free && known.bytes.is_some_and(fits))
    }

    /// Removes what was not used for the longest time until at most `most` bytes are left; files and bytes that went.
    pub(super) fn shrink(&self, most: u64) -> (usize, u64) {
        let mut found = self.list();
        let (all, count) = (found.iter().map(|file| file.bytes).sum(), found.len());
        let left = remove_oldest(&mut found, all, most);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known { bytes: Some(left), since: 0 };
        (count - found.len(), all - left)
    }

    /// All entries; files of other names are not ours.
    pub(super) fn list(&self) -> Vec<StoredFile> {
        let folders = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let files = folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten());
        files.filter_map(|file| stored_file(&file)).collect()
    }
}

/// A file that is named as entries are.
fn stored_file(file: &fs::DirEntry) -> Option<StoredFile> {
    let path = file.path();
    let name = path.file_stem()?.to_str()?;
    let is_key = name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let in_its_folder = path.parent()?.file_name()?.to_str()? == name.get(..2)?;
    let ending = path.extension().and_then(OsStr::to_str)?;
    let kind = EntryKind::ALL.into_iter().find(|kind| kind.ending() == ending).filter(|_| is_key && in_its_folder)?;
    let found = file.metadata().ok()?;
    Some(StoredFile { path, kind, bytes: found.len(), used: found.modified().unwrap_or(UNIX_EPOCH) })
}

/// Removes the first of `found` by time until `all` bytes are at most `most`; the bytes that are left.
fn remove_oldest(found: &mut Vec<StoredFile>, mut all: u64, most: u64) -> u64 {
    found.sort_by_key(|file| std::cmp::Reverse(file.used));
    while all > most {
        let Some(oldest) = found.pop() else { break };
        match files::remove(&oldest.path) {
            Ok(()) => all = all.saturating_sub(oldest.bytes),
            Err(error) => tracing::debug!("{}: {error}", oldest.path.display()),
        }
    }
    all
}
