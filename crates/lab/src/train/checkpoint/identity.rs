//! What a training run is: its recipe and the model that it began with. A checkpoint keeps it, so that another run is
//! not taken for its continuation.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use zoetrope_models::checkpoint::Checkpoint;

use crate::error::LabError;
use crate::train::recipe::Recipe;

/// Bytes of a weight file that are looked at in each of several places.
const PIECE: usize = 64 << 10;
/// Places of a weight file that are looked at.
const PIECES: u64 = 8;

/// What a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// The recipe as JSON.
    recipe: Value,
    /// Whether the run began with random weights.
    from_scratch: bool,
    /// SHA-256 of the configuration and, unless the run began with random weights, of samples of the weight files.
    model: String,
    /// Samples of the data files, in the order in which the recipe names them.
    #[serde(default)]
    samples: Vec<u64>,
}

impl RunIdentity {
    /// The run of `recipe` that begins with `template` and has data files of so many `samples`.
    ///
    /// # Errors
    /// When a file of the template cannot be read.
    pub fn new(
        recipe: &Recipe,
        template: &Checkpoint,
        from_scratch: bool,
        samples: Vec<u64>,
    ) -> Result<Self, LabError> {
        let recipe = serde_json::to_value(recipe).map_err(|error| LabError::Caller(error.to_string()))?;
        let mut hash = Sha256::new();
        hash.update(template.config()?.to_string());
        if !from_scratch {
            for file in template.weight_files()? {
                let failed = |error: std::io::Error| LabError::File { file: file.clone(), what: error.to_string() };
                sample(&file, &mut hash).map_err(failed)?;
            }
        }
        let model = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(RunIdentity { recipe, from_scratch, model, samples })
    }

    /// SHA-256 of the run and of the number of one of its stages.
    ///
    /// # Errors
    /// When the recipe cannot be written as JSON.
    pub(in crate::train) fn digest(&self, stage: usize) -> Result<[u8; 32], LabError> {
        let run = serde_json::to_vec(self).map_err(|error| LabError::Caller(error.to_string()))?;
        let mut hash = Sha256::new();
        hash.update((stage as u64).to_le_bytes());
        hash.update(run);
        Ok(hash.finalize().into())
    }

    /// Whether the run began with random weights.
    pub(in crate::train) fn is_from_scratch(&self) -> bool {
        self.from_scratch
    }

    /// The identity in `file`; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(file: &Path) -> Result<Option<Self>, LabError> {
        let wrong = |what: String| LabError::File { file: file.to_path_buf(), what };
        match std::fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| wrong(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// What tells this run from the run `other`; `None` when nothing does.
    pub(in crate::train) fn difference(&self, other: &RunIdentity) -> Option<String> {
        if self.from_scratch != other.from_scratch {
            let began = if other.from_scratch { "with random weights" } else { "with the weights of a model" };
            return Some(format!("it began {began}"));
        }
        if self.model != other.model {
            return Some("it began with another model".to_string());
        }
        if self.samples != other.samples {
            return Some(format!("its data files have {:?} samples, now they have {:?}", other.samples, self.samples));
        }
        let (Some(ours), Some(theirs)) = (self.recipe.as_object(), other.recipe.as_object()) else { return None };
        let names: Vec<&str> =
            ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name))).map(String::as_str).collect();
        let changed: Vec<&str> = names.into_iter().filter(|name| ours.get(*name) != theirs.get(*name)).collect();
        match (&changed[..], changed.first().map(|name| (theirs.get(*name), ours.get(*name)))) {
            ([], _) => None,
            ([name], Some((Some(old), Some(new)))) if old.is_number() && new.is_number() => {
                Some(format!("its recipe has {name} {old}, this one {new}"))
            }
            _ => Some(format!("its recipe differs in {}", changed.join(", "))),
        }
    }
}

/// Adds the length of a file and pieces spread over it.
fn sample(file: &Path, hash: &mut Sha256) -> std::io::Result<()> {
    let mut input = File::open(file)?;
    let length = input.metadata()?.len();
    hash.update(length.to_le_bytes());
    let mut piece = vec![0; PIECE];
    for index in 0..PIECES {
        input.seek(SeekFrom::Start(length.saturating_sub(PIECE as u64) / (PIECES - 1) * index))?;
        let mut read = Read::by_ref(&mut input).take(PIECE as u64);
        let mut count = 0;
        while let n @ 1.. = read.read(&mut piece[count..])? {
            count += n;
        }
        hash.update(&piece[..count]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(recipe: &str, from_scratch: bool, model: &str) -> RunIdentity {
        let recipe = serde_json::from_str(recipe).expect("JSON");
        RunIdentity { recipe, from_scratch, model: model.to_string(), samples: vec![9] }
    }

    #[test]
    fn what_differs_is_named() {
        let old = run(r#"{"lr": 0.5, "stages": [1], "batch": 2}"#, false, "a");
        let words = |new: RunIdentity| new.difference(&old);
        assert_eq!(words(old.clone()), None);
        let changed = words(run(r#"{"lr": 0.25, "stages": [1], "batch": 2}"#, false, "a"));
        assert_eq!(changed.as_deref(), Some("its recipe has lr 0.5, this one 0.25"));
        let changed = words(run(r#"{"lr": 0.5, "stages": [2], "muon": 1}"#, false, "a"));
        assert!(changed.expect("differs").starts_with("its recipe differs in"));
        let changed = words(run(r#"{"lr": 0.5, "stages": [2], "batch": 2}"#, false, "a"));
        assert_eq!(changed.as_deref(), Some("its recipe differs in stages"));
        assert!(words(run("{}", true, "a")).expect("differs").contains("with the weights of a model"));
        assert!(words(run("{}", false, "b")).expect("differs").contains("another model"));
        let longer = RunIdentity { samples: vec![10], ..old.clone() };
        assert!(words(longer).expect("differs").contains("have [9] samples, now they have [10]"));
    }

    #[test]
    fn weight_files_of_one_size_differ_by_their_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut sums = Vec::new();
        for (name, byte, length) in [("a", 1, 900_000), ("b", 2, 900_000), ("c", 1, 900_001), ("d", 1, 5), ("e", 1, 0)]
        {
            let file = folder.path().join(name);
            std::fs::write(&file, vec![byte; length]).expect("written");
            let mut hash = Sha256::new();
            sample(&file, &mut hash).expect("read");
            sums.push(hash.finalize());
        }
        for (at, sum) in sums.iter().enumerate() {
            assert!(sums[at + 1..].iter().all(|other| other != sum));
        }
    }
}
