//! The files of a checkpoint: a folder, or files that are part of the program.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use zoetrope_system::mmap::MappedFile;
use zoetrope_text::{TextError, TextFiles};

use crate::error::{ModelError, ModelResult};
use crate::lfs_pointer;
use crate::weights::FileBytes;

/// Largest JSON file of a checkpoint, in bytes.
const JSON_BYTES: u64 = 64 << 20;

/// Endings of the small files that travel with weights: configuration, tokenizer, templates, the card.
const SMALL_FILES: [&str; 5] = ["json", "jinja", "txt", "md", "model"];

/// The file of a second tokenizer (a Q-Former's), which lies in a folder of its own.
const VOCABULARY: &str = "vocab.txt";

/// Endings of weight files.
pub(crate) const WEIGHT_FILES: [&str; 5] = [".safetensors", ".bin", ".gguf", ".pt", ".pth"];

/// A checkpoint.
#[derive(Clone, Debug)]
pub enum Checkpoint {
    /// A folder on disk.
    Folder(PathBuf),
    /// Files inside the program, by name.
    Embedded {
        /// What errors call the folder.
        name: &'static str,
        /// Names and contents.
        files: &'static [(&'static str, &'static [u8])],
    },
    /// What a training stage or an adapter has written, over the model that it was made from.
    Stage {
        /// Where a file or tensor is looked up first.
        stage: Box<Checkpoint>,
        /// Where everything else is.
        base: Box<Checkpoint>,
    },
}

impl From<&Path> for Checkpoint {
    fn from(folder: &Path) -> Self {
        Checkpoint::Folder(folder.to_path_buf())
    }
}

impl Checkpoint {
    /// This checkpoint as a stage over `base`.
    pub fn with_base(self, base: Checkpoint) -> Checkpoint {
        Checkpoint::Stage { stage: Box::new(self), base: Box::new(base) }
    }

    /// The part that the file `name` is taken from; the first one when none has it.
    pub(crate) fn holder(&self, name: &str) -> &Checkpoint {
        match self {
            Checkpoint::Stage { stage, base } => {
                let part = if !stage.has(name) && base.has(name) { base } else { stage };
                part.holder(name)
            }
            whole => whole,
        }
    }

    /// The folders and embedded files that it is made of, the first looked up first.
    pub(crate) fn parts(&self) -> Vec<&Checkpoint> {
        match self {
            Checkpoint::Stage { stage, base } => [stage.parts(), base.parts()].concat(),
            whole => vec![whole],
        }
    }

    /// The path of the file `name`, for errors.
    pub fn path(&self, name: &str) -> PathBuf {
        match self {
            Checkpoint::Folder(folder) => folder.join(name),
            Checkpoint::Embedded { name: folder, .. } => Path::new(folder).join(name),
            Checkpoint::Stage { .. } => self.holder(name).path(name),
        }
    }

    /// An error of the file `name`.
    pub fn error(&self, name: &str, what: impl ToString) -> ModelError {
        ModelError::File { file: self.path(name), what: what.to_string() }
    }

    /// An error of the file `name`, which is not there or not whole.
    pub(crate) fn incomplete(&self, name: &str, what: impl ToString) -> ModelError {
        ModelError::Incomplete { file: self.path(name), what: what.to_string() }
    }

    /// Whether there is a file `name`.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Checkpoint::Folder(folder) => folder.join(name).is_file(),
            Checkpoint::Embedded { files, .. } => files.iter().any(|file| file.0 == name),
            Checkpoint::Stage { stage, base } => stage.has(name) || base.has(name),
        }
    }

    /// The JSON file `name`; `None` when there is none.
    ///
    /// # Errors
    /// [`ModelError::File`] when it cannot be read or is no JSON.
    pub fn json(&self, name: &str) -> ModelResult<Option<Value>> {
        let Some(bytes) = self.read(name, JSON_BYTES, "bytes of a JSON file")? else { return Ok(None) };
        let parsed = serde_json::from_slice(&bytes).or_else(|error| {
            // Python writes numbers that JSON does not have.
            let repaired = python_numbers_as_null(&bytes);
            repaired.and_then(|text| serde_json::from_slice(&text).ok()).ok_or(error)
        });
        parsed.map(Some).map_err(|error| self.error(name, format!("not valid JSON: {error}")))
    }

    /// The bytes of a large file, mapped; `None` when there is none.
    pub(crate) fn open(&self, name: &str) -> ModelResult<Option<FileBytes>> {
        match self {
            Checkpoint::Folder(folder) => match MappedFile::open(&folder.join(name)) {
                Ok(file) => {
                    lfs_pointer::check_fetched(&file).map_err(|what| self.error(name, what))?;
                    Ok(Some(FileBytes::Mapped(Arc::new(file))))
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(self.error(name, error)),
            },
            Checkpoint::Embedded { files, .. } => {
                Ok(files.iter().find(|file| file.0 == name).map(|file| FileBytes::Embedded(file.1)))
            }
            Checkpoint::Stage { .. } => self.holder(name).open(name),
        }
    }

    /// Names of all files.
    pub(crate) fn names(&self) -> ModelResult<Vec<String>> {
        let mut names = Vec::new();
        match self {
            Checkpoint::Folder(folder) => {
                let failed = |error: std::io::Error| ModelError::File { file: folder.clone(), what: error.to_string() };
                for entry in std::fs::read_dir(folder).map_err(failed)? {
                    let entry = entry.map_err(failed)?;
                    if !entry.path().is_dir() {
                        names.push(entry.file_name().to_string_lossy().into_owned());
                    }
                }
            }
            Checkpoint::Embedded { files, .. } => names.extend(files.iter().map(|file| file.0.to_string())),
            Checkpoint::Stage { stage, base } => names.extend([stage.names()?, base.names()?].concat()),
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// `vocab.txt` of each folder in this one: names of files with that of their folder.
    fn vocabularies(&self) -> ModelResult<Vec<String>> {
        let mut names = Vec::new();
        for part in self.parts() {
            let Checkpoint::Folder(folder) = part else { continue };
            let failed = |error: std::io::Error| ModelError::File { file: folder.clone(), what: error.to_string() };
            for entry in std::fs::read_dir(folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if !name.starts_with('.') && entry.path().join(VOCABULARY).is_file() {
                    names.push(format!("{name}/{VOCABULARY}"));
                }
            }
        }
        names.dedup();
        names.sort();
        Ok(names)
    }

    /// The weight files: all of the file formats that are read here. None of an embedded checkpoint.
    ///
    /// # Errors
    /// [`ModelError::File`] when the folder cannot be read.
    pub fn weight_files(&self) -> ModelResult<Vec<PathBuf>> {
        let mut all = Vec::new();
        for part in self.parts() {
            let Checkpoint::Folder(folder) = part else { continue };
            let is_weights = |name: &String| WEIGHT_FILES.iter().any(|ending| name.ends_with(ending));
            all.extend(part.names()?.into_iter().filter(is_weights).map(|name| folder.join(name)));
        }
        Ok(all)
    }

    /// Names and contents of everything but weights and the index of shards: what travels with a model that is written
    /// from this one. A second tokenizer's `vocab.txt` is named with its folder.
    ///
    /// # Errors
    /// [`ModelError::File`] for the file that could not be read or is too large to be one of these.
    pub fn small_files(&self) -> ModelResult<Vec<(String, Cow<'static, [u8]>)>> {
        let mut all = Vec::new();
        for name in self.names()?.into_iter().chain(self.vocabularies()?) {
            let ending = Path::new(&name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if !SMALL_FILES.contains(&ending) || name.ends_with(".index.json") {
                continue;
            }
            let bytes = match self.holder(&name) {
                Checkpoint::Folder(_) | Checkpoint::Stage { .. } => {
                    self.read(&name, JSON_BYTES, "bytes of a small file")?.map(Cow::Owned)
                }
                Checkpoint::Embedded { files, .. } => {
                    files.iter().find(|file| file.0 == name).map(|file| Cow::Borrowed(file.1))
                }
            };
            all.extend(bytes.map(|bytes| (name, bytes)));
        }
        Ok(all)
    }
}

/// JSON with `NaN`, `Infinity` and `-Infinity` outside of strings as `null`; `None` when there is none.
fn python_numbers_as_null(text: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut rest, mut in_string, mut found) = (Vec::with_capacity(text.len()), text, false, false);
    while let Some((&byte, tail)) = rest.split_first() {
        let word = ["NaN", "Infinity", "-Infinity"].iter().find(|word| !in_string && rest.starts_with(word.as_bytes()));
        if let Some(word) = word {
            out.extend_from_slice(b"null");
            (rest, found) = (&rest[word.len()..], true);
            continue;
        }
        in_string ^= byte == b'"';
        out.push(byte);
        rest = tail;
        if let (b'\\', Some((&escaped, tail))) = (byte, tail.split_first()) {
            out.push(escaped);
            rest = tail;
        }
    }
    found.then_some(out)
}

impl TextFiles for Checkpoint {
    fn read(&self, name: &str, limit: u64, what: &'static str) -> Result<Option<Vec<u8>>, TextError> {
        match self {
            Checkpoint::Folder(folder) => {
                let bytes = folder.as_path().read(name, limit, what)?;
                let fetched = lfs_pointer::check_fetched(bytes.as_deref().unwrap_or_default());
                fetched.map_err(|what| TextError::File { file: self.path(name), what: what.to_string() })?;
                Ok(bytes)
            }
            Checkpoint::Embedded { files, .. } => {
                Ok(files.iter().find(|file| file.0 == name).map(|file| file.1.to_vec()))
            }
            Checkpoint::Stage { .. } => self.holder(name).read(name, limit, what),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        Checkpoint::path(self, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_only_python_writes_are_null() {
        let folder = tempfile::tempdir().unwrap();
        let json = |text: &str| {
            std::fs::write(folder.path().join("config.json"), text).unwrap();
            Checkpoint::from(folder.path()).json("config.json")
        };
        let value = json(r#"{"a": Infinity, "b": [-Infinity, NaN, 1], "c": "a NaN \" Infinity"}"#).unwrap().unwrap();
        assert_eq!(value, serde_json::json!({"a": null, "b": [null, null, 1], "c": "a NaN \" Infinity"}));
        for broken in ["{\"a\": NaNs}", "{\"a\": inf}", "{"] {
            assert!(json(broken).unwrap_err().to_string().contains("not valid JSON"), "{broken}");
        }
    }
}
