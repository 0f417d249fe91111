//! The cache on disk, in the layout of `huggingface_hub`:
//! `models--org--name/{refs/REVISION, blobs/ETAG, snapshots/COMMIT/FILE -> ../../blobs/ETAG}`.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

#[cfg(feature = "download")]
use crate::error::HubError;
use crate::name::{RepoName, is_part};

/// A way in which models publish their weights.
pub(crate) struct WeightFormat {
    /// Names the shards of a large model.
    pub(crate) index: &'static str,
    /// How the names of its files begin.
    prefix: &'static str,
    /// How they end.
    ending: &'static str,
}

/// The formats, the one that is taken first.
pub(crate) const FORMATS: [WeightFormat; 2] = [
    WeightFormat { index: "model.safetensors.index.json", prefix: "", ending: ".safetensors" },
    WeightFormat { index: "pytorch_model.bin.index.json", prefix: "pytorch_model", ending: ".bin" },
];

impl WeightFormat {
    /// Whether a file of this name holds tensors.
    pub(crate) fn is_file(&self, name: &str) -> bool {
        // Some models carry their weights a second time in their author's own form.
        name.starts_with(self.prefix) && name.ends_with(self.ending) && !name.starts_with("consolidated")
    }
}

/// The folders of one model.
#[derive(Clone, Debug)]
pub(crate) struct Repo {
    #[cfg_attr(not(feature = "download"), allow(dead_code, reason = "only downloads write"))]
    locks: PathBuf,
    root: PathBuf,
}

impl Repo {
    pub(crate) fn new(cache: &Path, repo: &RepoName) -> Self {
        let folder = format!("models--{}--{}", repo.org, repo.name);
        Repo { locks: cache.join(".locks").join(&folder), root: cache.join(folder) }
    }

    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// The snapshot of a revision when it has a configuration and all its weights.
    pub(crate) fn complete_snapshot(&self, revision: &str) -> Option<PathBuf> {
        let commit = match is_commit(revision) {
            true => revision.to_string(),
            false => fs::read_to_string(self.root.join("refs").join(revision)).ok()?.trim().to_string(),
        };
        let folder = self.snapshot(&commit);
        let complete = is_commit(&commit) && folder.join("config.json").is_file() && has_weights(&folder);
        complete.then_some(folder)
    }
}

/// Whether all shards that an index names are there, or without an index any file of tensors.
fn has_weights(folder: &Path) -> bool {
    FORMATS.iter().any(|format| match fs::read(folder.join(format.index)) {
        Ok(index) => shards(&index).is_some_and(|shards| shards.iter().all(|shard| folder.join(shard).is_file())),
        Err(_) => fs::read_dir(folder).is_ok_and(|entries| {
            let is_file = |entry: &fs::DirEntry| format.is_file(&entry.file_name().to_string_lossy());
            entries.flatten().any(|entry| is_file(&entry) && entry.path().is_file())
        }),
    })
}

/// The files that an index names; `None` when it is damaged.
pub(crate) fn shards(index: &[u8]) -> Option<HashSet<String>> {
    let index: Value = serde_json::from_slice(index).ok()?;
    let files = index["weight_map"].as_object()?.values();
    files.map(|file| file.as_str().filter(|file| is_part(file)).map(str::to_string)).collect()
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

    /// Waits until no other process downloads this blob. Dropping the file releases the lock.
    pub(crate) fn lock(&self, etag: &str) -> Result<fs::File, HubError> {
        let path = self.locks.join(format!("{etag}.lock"));
        let failed = |error: std::io::Error| HubError::file(&path, error);
        fs::create_dir_all(&self.locks).map_err(failed)?;
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    /// Links a blob into a snapshot.
    pub(crate) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), HubError> {
        let folder = self.snapshot(commit);
        let path = folder.join(file);
        let failed = |error: std::io::Error| HubError::file(&path, error);
        fs::create_dir_all(&folder).map_err(failed)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        #[cfg(unix)]
        let linked = std::os::unix::fs::symlink(Path::new("../../blobs").join(etag), &path);
        // Symbolic links need rights on other systems.
        #[cfg(not(unix))]
        let linked = fs::hard_link(self.blob(etag), &path).or_else(|_| fs::copy(self.blob(etag), &path).map(|_| ()));
        linked.map_err(failed)
    }

    /// Records which commit a revision points to.
    pub(crate) fn set_reference(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if is_commit(revision) {
            return Ok(());
        }
        let path = self.root.join("refs").join(revision);
        let failed = |error: std::io::Error| HubError::file(&path, error);
        fs::create_dir_all(path.parent().unwrap_or(&self.root)).map_err(failed)?;
        fs::write(&path, commit).map_err(failed)
    }
}
