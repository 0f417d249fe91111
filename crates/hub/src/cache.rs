//! The cache on disk, in the layout of `huggingface_hub`:
//! `models--org--name/{refs/REVISION, blobs/ETAG, snapshots/COMMIT/FILE -> ../../blobs/ETAG}`, and
//! `.no_exist/COMMIT/FILE` for files that the hub is known not to have.
//!
//! Everything is written beside its place and renamed: blobs first, then links, then the revision. A process that is
//! killed between any two steps leaves what was there before, or what comes after.

use std::fs;
use std::path::{Path, PathBuf};

use crate::contents::{self, EXPECTED, Extent};
#[cfg(feature = "download")]
use crate::error::HubError;
use crate::name::RepoName;

/// The folders of one model.
#[derive(Clone, Debug)]
pub(crate) struct Repo {
    #[cfg_attr(not(feature = "download"), allow(dead_code, reason = "only downloads write"))]
    locks: PathBuf,
    root: PathBuf,
}

/// What the cache has of a revision.
#[derive(Debug)]
pub(crate) enum Held {
    /// All that the hub has.
    All(PathBuf),
    /// All that loading cannot do without. Files that a model may have are not there, and nothing says that this one
    /// has none.
    Enough(PathBuf),
    /// Something is missing: these files.
    Part(Vec<String>),
}

impl Repo {
    pub(crate) fn new(cache: &Path, repo: &RepoName) -> Self {
        let folder = format!("models--{}--{}", repo.org, repo.name);
        Repo { locks: cache.join(".locks").join(&folder), root: cache.join(folder) }
    }

    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// The commit that a revision was when it was last asked for.
    pub(crate) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_string());
        }
        let commit = fs::read_to_string(self.root.join("refs").join(revision)).ok()?.trim().to_string();
        is_commit(&commit).then_some(commit)
    }

    /// What there is of a revision.
    pub(crate) fn held(&self, revision: &str, extent: Extent) -> Held {
        let Some(commit) = self.commit(revision) else { return Held::Part(vec!["all files".to_string()]) };
        let folder = self.snapshot(&commit);
        let mut missing = Vec::new();
        if !contents::has(&folder, contents::CONFIG) && !contents::has(&folder, contents::ADAPTER) {
            missing.push(contents::CONFIG.to_string());
        }
        let absent = |name: &&str| self.root.join(".no_exist").join(&commit).join(name).exists();
        let known = |names: &&[&str]| names.iter().any(|name| contents::has(&folder, name)) || names.iter().all(absent);
        if !known(&EXPECTED[0]) {
            missing.push(EXPECTED[0][0].to_string());
        }
        if extent == Extent::Whole {
            missing.extend(contents::missing_weights(&folder));
        }
        if !missing.is_empty() {
            return Held::Part(missing);
        }
        let is_template = |names: &&[&str]| names.contains(&"chat_template.json");
        let all =
            EXPECTED.iter().all(|names| known(names) || (is_template(names) && contents::has_inner_template(&folder)));
        if all { Held::All(folder) } else { Held::Enough(folder) }
    }
}

/// A full git commit id.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(feature = "download")]
impl Repo {
    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(etag)
    }

    /// Where the bytes of a blob are gathered. Python's client resumes from this name, too.
    pub(crate) fn part(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(format!("{etag}.incomplete"))
    }

    /// Waits until no other process downloads this blob. Dropping the file releases the lock.
    pub(crate) fn lock(&self, etag: &str) -> Result<fs::File, HubError> {
        let path = self.locks.join(format!("{etag}.lock"));
        let failed = |error: std::io::Error| HubError::cache(&path, &error);
        fs::create_dir_all(&self.locks).map_err(failed)?;
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.lock() {
            // Some network file systems have no locks; the checksum notices when two processes wrote one file.
            Err(error) if error.kind() != std::io::ErrorKind::Unsupported => Err(failed(error)),
            _ => Ok(file),
        }
    }

    /// Links a blob into a snapshot; the caller holds the blob's lock.
    pub(crate) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), HubError> {
        let folder = self.snapshot(commit);
        let path = folder.join(file);
        let failed = |error: std::io::Error| HubError::cache(&path, &error);
        fs::create_dir_all(&folder).map_err(failed)?;
        let beside = self.root.join("blobs").join(format!("{etag}.link.incomplete"));
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        #[cfg(unix)]
        let linked = std::os::unix::fs::symlink(Path::new("../../blobs").join(etag), &beside);
        // Symbolic links need rights on other systems.
        #[cfg(not(unix))]
        let linked =
            fs::hard_link(self.blob(etag), &beside).or_else(|_| fs::copy(self.blob(etag), &beside).map(|_| ()));
        linked.and_then(|()| fs::rename(&beside, &path)).map_err(failed)
    }

    /// Records which of the files that a model may have this commit lacks. A cache that cannot be written goes without.
    pub(crate) fn set_absent(&self, commit: &str, files: &[&str]) {
        let folder = self.root.join(".no_exist").join(commit);
        for name in EXPECTED.iter().flat_map(|names| names.iter()).filter(|name| !files.contains(name)) {
            let file = folder.join(name);
            if !file.exists() {
                // Only saves a question later.
                let _ = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, ""));
            }
        }
    }

    /// Records which commit a revision points to.
    pub(crate) fn set_reference(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if is_commit(revision) || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.root.join("refs").join(revision);
        let failed = |error: std::io::Error| HubError::cache(&path, &error);
        // Two calls that end at once write one file after the other.
        let _lock = self.lock("reference")?;
        let beside = self.root.join("blobs").join("reference.incomplete");
        fs::create_dir_all(path.parent().unwrap_or(&self.root)).map_err(failed)?;
        fs::write(&beside, commit).and_then(|()| fs::rename(&beside, &path)).map_err(failed)
    }
}
