//! The PyTorch files of a checkpoint: `pytorch_model.bin`, or the shards that its index names.

use std::collections::HashMap;
use std::path::Path;

use super::pickle::PickleFile;
use super::row_source::Segment;
use super::safetensors::shard_names;
use super::store::TensorStore;
use crate::checkpoint::Checkpoint;
use crate::error::{ModelError, ModelResult};

/// The one file of a small checkpoint, and the list of shards of a large one.
const FILE: &str = "pytorch_model.bin";
const INDEX: &str = "pytorch_model.bin.index.json";

/// Files of `torch.save` that together hold one set of tensors.
pub(crate) struct PytorchFiles {
    files: Vec<PickleFile>,
    /// The file of each tensor.
    places: HashMap<String, usize>,
}

impl PytorchFiles {
    /// Opens `pytorch_model.bin` or the shards that its index names; `None` when there is neither.
    ///
    /// # Errors
    /// When a shard is missing, and those of [`PickleFile::open`].
    pub(crate) fn open(checkpoint: &Checkpoint) -> ModelResult<Option<Self>> {
        let names = match checkpoint.json(INDEX)? {
            Some(index) => shard_names(&index).map_err(|what| checkpoint.error(INDEX, what))?,
            None if checkpoint.has(FILE) => vec![FILE.to_string()],
            None => return Ok(None),
        };
        let mut all = PytorchFiles { files: Vec::new(), places: HashMap::new() };
        for name in names {
            if !checkpoint.has(&name) {
                return Err(checkpoint.incomplete(&name, "weight file is missing from the model folder"));
            }
            all.add(&checkpoint.path(&name))?;
        }
        Ok(Some(all))
    }

    /// One file, whatever its name.
    ///
    /// # Errors
    /// As [`PickleFile::open`].
    pub(crate) fn file(path: &Path) -> ModelResult<Self> {
        let mut all = PytorchFiles { files: Vec::new(), places: HashMap::new() };
        all.add(path)?;
        Ok(all)
    }

    fn add(&mut self, path: &Path) -> ModelResult<()> {
        let file = PickleFile::open(path)?;
        self.places.extend(file.names().map(|name| (name.to_string(), self.files.len())));
        self.files.push(file);
        Ok(())
    }

    fn file_of(&self, name: &str) -> Option<&PickleFile> {
        self.places.get(name).map(|file| &self.files[*file])
    }
}

impl TensorStore for PytorchFiles {
    fn names(&self) -> Vec<&str> {
        self.places.keys().map(String::as_str).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.file_of(name)?.shape(name)
    }

    fn rows(&self, name: &str, shape: &[usize]) -> ModelResult<Segment> {
        self.file_of(name).ok_or_else(|| self.missing(name))?.rows(name, shape)
    }

    fn missing(&self, name: &str) -> ModelError {
        let files: Vec<String> = self.files.iter().map(|file| file.path().display().to_string()).collect();
        let file = self.files.first().map(|file| file.path().to_path_buf()).unwrap_or_default();
        ModelError::File { file, what: format!("tensor {name} is in none of {}", files.join(", ")) }
    }

    fn bytes(&self) -> usize {
        self.files.iter().map(PickleFile::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::matrix_dims;
    use super::*;

    fn golden(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pickle").join(name)
    }

    fn open(files: &[(&str, &str)], index: Option<&str>) -> ModelResult<Option<PytorchFiles>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, from) in files {
            std::fs::copy(golden(from), folder.path().join(name)).unwrap();
        }
        if let Some(index) = index {
            std::fs::write(folder.path().join(INDEX), index).unwrap();
        }
        PytorchFiles::open(&Checkpoint::from(folder.path()))
    }

    #[test]
    fn one_file_or_the_shards_of_an_index() {
        assert!(open(&[], None).unwrap().is_none());
        let one = open(&[(FILE, "state_dict.bin")], None).unwrap().expect("a file");
        let names = |files: &PytorchFiles| files.names().into_iter().map(str::to_string).collect::<Vec<_>>();
        assert!(!names(&one).is_empty() && one.bytes() > 0);
        let index = r#"{"weight_map": {"a": "1.bin", "b": "2.bin"}}"#;
        let two = open(&[("1.bin", "state_dict.bin"), ("2.bin", "types.bin")], Some(index)).unwrap().expect("shards");
        assert!(names(&one).iter().all(|name| two.has(name)));
        let name = names(&one).remove(0);
        let shape = two.shape(&name).expect("a shape").to_vec();
        assert_eq!(two.rows(&name, &shape).unwrap().rows, matrix_dims(&shape).0);
        assert!(two.missing("lost").to_string().contains("tensor lost is in none of"));
        let error = open(&[("1.bin", "state_dict.bin")], Some(index)).err().expect("a shard is missing").to_string();
        assert!(error.contains("2.bin") && error.contains("missing"), "{error}");
    }
}
