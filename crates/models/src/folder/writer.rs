//! A folder that a model is written to: it appears as a whole, or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use zoetrope_system::files::{self, is_same, remove, sync_folder, write_whole};

use crate::checkpoint::{Checkpoint, WEIGHT_FILES};
use crate::error::{ModelError, ModelResult};

/// A model folder that is being written under another name beside its place. Dropped before [`ModelFolder::finish`], it
/// leaves nothing.
pub struct ModelFolder {
    out: PathBuf,
    part: PathBuf,
    /// The file of the lock, which is held while the folder is written: no two processes write it at once.
    lock_file: PathBuf,
    _lock: File,
}

impl ModelFolder {
    /// Begins a folder `out` for a model made of `source`, with everything of `source` but its weights.
    ///
    /// # Errors
    /// When `out` is no new or empty folder, is the folder of `source` under whatever name, or is being written by
    /// another process; when a file cannot be read or written.
    pub fn begin(source: &Checkpoint, out: &Path) -> ModelResult<Self> {
        let failed = |error: io::Error| file_error(out, error);
        let out = &absolute(out).map_err(failed)?;
        check_place(source, out)?;
        let (Some(parent), Some(name)) = (out.parent(), out.file_name()) else {
            return Err(refused(out, "is no place for a model; name a new folder"));
        };
        std::fs::create_dir_all(parent).map_err(failed)?;
        let hidden = |ending: &str| parent.join(format!(".{}.zoetrope-{ending}", name.to_string_lossy()));
        let (lock_file, part) = (hidden("lock"), hidden("part"));
        let lock = lock(&lock_file, out)?;
        // What a killed process left.
        remove(&part).map_err(failed)?;
        std::fs::create_dir(&part).map_err(|error| file_error(&part, error))?;
        let folder = ModelFolder { out: out.clone(), part, lock_file, _lock: lock };
        copy_small_files(source, &folder.part)?;
        Ok(folder)
    }

    /// Where files are written until the folder is finished.
    pub fn path(&self) -> &Path {
        &self.part
    }

    /// Writes `config.json`, where the source has none or another one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write_config(&self, config: &serde_json::Value) -> ModelResult<()> {
        let file = self.part.join("config.json");
        write_whole(&file, |out| out.write_all(format!("{config:#}\n").as_bytes()))
            .map_err(|error| file_error(&file, error))
    }

    /// Gives the folder its name, when everything in it is on disk.
    ///
    /// # Errors
    /// When the disk fails, or something has appeared at its place.
    pub fn finish(self) -> ModelResult<()> {
        let failed = |error: io::Error| file_error(&self.out, error);
        sync_folder(&self.part).map_err(failed)?;
        check_empty(&self.out)?;
        // An empty folder at the place is replaced; on systems that refuse that, it goes first.
        if let Err(error) = std::fs::rename(&self.part, &self.out) {
            std::fs::remove_dir(&self.out).map_err(|_| failed(error))?;
            std::fs::rename(&self.part, &self.out).map_err(failed)?;
        }
        self.out.parent().map_or(Ok(()), sync_folder).map_err(failed)
    }
}

impl Drop for ModelFolder {
    fn drop(&mut self) {
        // What cannot be removed here is removed by the next one.
        let _ = remove(&self.part);
        let _ = std::fs::remove_file(&self.lock_file);
    }
}

/// Whether a model made of `source` may be written to `out`.
///
/// # Errors
/// When `out` is no new or empty folder, or is the folder of `source` under whatever name.
pub fn check_place(source: &Checkpoint, out: &Path) -> ModelResult<()> {
    let is_own = |part: &&Checkpoint| matches!(part, Checkpoint::Folder(folder) if is_same(folder, out));
    match source.parts().iter().any(is_own) {
        true => Err(refused(out, "is the model's own folder; name another one")),
        false => check_empty(out),
    }
}

/// Copies everything but weights and their index into `folder`, replacing a file only when it differs, and then as a
/// whole.
///
/// # Errors
/// [`ModelError::File`] for the file that could not be read or written.
pub fn copy_small_files(source: &Checkpoint, folder: &Path) -> ModelResult<()> {
    for (name, bytes) in source.small_files()? {
        let to = folder.join(&name);
        // The file itself, or what an earlier export left.
        if std::fs::read(&to).is_ok_and(|there| there == *bytes) {
            continue;
        }
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(|error| file_error(parent, error))?;
        }
        write_whole(&to, |file| file.write_all(&bytes)).map_err(|error| file_error(&to, error))?;
    }
    Ok(())
}

fn check_empty(out: &Path) -> ModelResult<()> {
    let entries = match std::fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound && out.symlink_metadata().is_err() => return Ok(()),
        Err(error) => return Err(file_error(out, error)),
    };
    let mut names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into()).collect();
    names.sort();
    let is_weights = |name: &&String| WEIGHT_FILES.iter().chain(&[".index.json"]).any(|ending| name.ends_with(ending));
    match (names.iter().find(is_weights), names.first()) {
        (Some(weights), _) => Err(refused(out, format!("holds a model already ({weights}); name another folder"))),
        (None, Some(name)) => Err(refused(out, format!("is not empty ({name}); name a new folder"))),
        (None, None) => Ok(()),
    }
}

fn lock(file: &Path, out: &Path) -> ModelResult<File> {
    let lock = files::lock(file).map_err(|error| file_error(file, error))?;
    lock.ok_or_else(|| refused(out, "is being written by another process"))
}

/// The path with its folder's links resolved; the last part may not exist yet.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(_) => std::path::absolute(path),
    }
}

fn file_error(file: &Path, error: io::Error) -> ModelError {
    refused(file, error.to_string())
}

fn refused(file: &Path, what: impl Into<String>) -> ModelError {
    ModelError::Output { file: file.to_path_buf(), what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like a model in shards.
    fn source(place: &Path) -> PathBuf {
        let folder = place.join("source");
        std::fs::create_dir(&folder).unwrap();
        for name in ["config.json", "README.md", "model-00001-of-00001.safetensors", "model.safetensors.index.json"] {
            std::fs::write(folder.join(name), name).unwrap();
        }
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_appears_as_a_whole_or_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::Folder(source(place.path()));
        let out = place.path().join("deep/out");
        drop(ModelFolder::begin(&checkpoint, &out).unwrap());
        assert_eq!(names(&place.path().join("deep")), [""; 0]);
        let folder = ModelFolder::begin(&checkpoint, &out).unwrap();
        assert!(!out.exists());
        let text = ModelFolder::begin(&checkpoint, &out).err().unwrap().to_string();
        assert!(text.ends_with("is being written by another process"), "{text}");
        folder.finish().unwrap();
        assert_eq!(names(&out), ["README.md", "config.json"], "no index of shards that stay behind");
        assert_eq!(names(&place.path().join("deep")), ["out"]);
        // What a killed process leaves is no obstacle.
        let next = place.path().join("deep/next");
        std::fs::create_dir(place.path().join("deep/.next.zoetrope-part")).unwrap();
        std::fs::create_dir(&next).unwrap();
        ModelFolder::begin(&checkpoint, &next).unwrap().finish().unwrap();
        assert_eq!(names(&place.path().join("deep")), ["next", "out"]);
    }

    #[test]
    fn a_place_that_holds_something_is_refused_and_stays() {
        let place = tempfile::tempdir().unwrap();
        let folder = source(place.path());
        let checkpoint = Checkpoint::Folder(folder.clone());
        let refused = |out: &Path| ModelFolder::begin(&checkpoint, out).err().unwrap().to_string();
        assert!(refused(&folder.join("../source/.")).contains("the model's own folder"));
        for name in ["old.safetensors", "pytorch_model.bin", "x.gguf", "model.safetensors.index.json", "notes.txt"] {
            let out = place.path().join(name.replace('.', "-"));
            std::fs::create_dir(&out).unwrap();
            std::fs::write(out.join(name), "mine").unwrap();
            let text = refused(&out);
            assert!(text.contains(name), "{text}");
            assert_eq!(std::fs::read(out.join(name)).unwrap(), b"mine");
        }
        let file = place.path().join("file");
        std::fs::write(&file, "mine").unwrap();
        assert!(refused(&file).starts_with(&file.display().to_string()));
        assert_eq!(std::fs::read(&file).unwrap(), b"mine");
        #[cfg(unix)]
        {
            let link = place.path().join("link");
            std::os::unix::fs::symlink(&folder, &link).unwrap();
            assert!(refused(&link).contains("the model's own folder"));
            // A folder of links to the source.
            let farm = place.path().join("farm");
            std::fs::create_dir(&farm).unwrap();
            std::os::unix::fs::symlink(folder.join("config.json"), farm.join("config.json")).unwrap();
            assert!(refused(&farm).contains("is not empty (config.json)"));
            copy_small_files(&checkpoint, &farm).unwrap();
        }
        assert_eq!(std::fs::read(folder.join("config.json")).unwrap(), b"config.json");
    }
}
