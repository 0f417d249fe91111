//! Checkpoints: weights, optimizer moments, progress and the run they belong to in one folder, replaced as a whole.
//!
//! A new checkpoint is written beside the old one, which makes room and goes last. A process that is killed in between
//! leaves the old one under either of two names, or the new one whole.

mod identity;

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use zoetrope_system::files::{remove, sync_folder, write_whole};

pub use self::identity::RunIdentity;
use super::export::write_tensors;
use super::optimizer::Moments;
use crate::error::LabError;

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainProgress {
    /// Finished optimizer steps.
    pub step: usize,
    /// Number of samples so far.
    pub samples: u64,
    /// Running mean of the loss.
    pub loss: f64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Samples that could not be used.
    #[serde(default)]
    pub bad: u64,
    /// Samples that were longer than the stage allows.
    #[serde(default)]
    pub too_long: u64,
    /// The lowest running mean of the loss of this stage.
    #[serde(default)]
    pub lowest: Option<f64>,
    /// The lowest held-out loss of the run.
    #[serde(default)]
    pub best: Option<f64>,
}

/// What a run needs to continue.
#[derive(Default)]
pub struct Checkpoint {
    /// Weights by name.
    pub weights: HashMap<String, Tensor>,
    /// Moments of the optimizer by name.
    pub moments: BTreeMap<String, Moments>,
    /// Running averages of weights by name, where the stage asks for them.
    pub averages: BTreeMap<String, Vec<f32>>,
    /// How far the run has come.
    pub progress: TrainProgress,
    /// The run; `None` in checkpoints of version 0.1.
    pub run: Option<RunIdentity>,
}

const WEIGHTS: &str = "weights.safetensors";
const MOMENTS: &str = "moments.safetensors";
const PROGRESS: &str = "progress.json";
const RUN: &str = "run.json";

impl Checkpoint {
    /// The checkpoint in `folder`, if there is one. A write that was cut short is undone.
    ///
    /// # Errors
    /// When a file is missing or wrong: a folder that is there is a checkpoint.
    pub fn read(folder: &Path) -> Result<Option<Self>, LabError> {
        let [_, old] = beside(folder);
        if !folder.exists() {
            if !old.exists() {
                return Ok(None);
            }
            std::fs::rename(&old, folder)
                .map_err(|error| LabError::File { file: old.clone(), what: error.to_string() })?;
        }
        let file = folder.join(PROGRESS);
        let wrong = |what: String| LabError::File { file: file.clone(), what };
        let text = std::fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
        let progress = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let load = |name: &str| {
            let file = folder.join(name);
            candle_core::safetensors::load(&file, &Device::Cpu)
                .map_err(|error| LabError::File { file, what: error.to_string() })
        };
        let weights = load(WEIGHTS)?;
        let (mut moments, mut averages) = (BTreeMap::<String, Moments>::new(), BTreeMap::new());
        for (name, tensor) in load(MOMENTS)? {
            let values = tensor.to_vec1::<f32>()?;
            match name.split_once(':') {
                Some(("first", name)) => moments.entry(name.to_string()).or_default().first = values,
                Some(("second", name)) => moments.entry(name.to_string()).or_default().second = values,
                Some(("average", name)) => drop(averages.insert(name.to_string(), values)),
                _ => return Err(wrong(format!("{MOMENTS} has an unknown tensor {name}"))),
            }
        }
        let run = RunIdentity::read(&folder.join(RUN))?;
        Ok(Some(Checkpoint { weights, moments, averages, progress, run }))
    }

    /// Writes a checkpoint beside `folder`, then moves it there: an interrupted write leaves the old one intact. The
    /// `keep` newest ones stay: earlier ones beside `folder`, with their step in the name.
    ///
    /// # Errors
    /// [`LabError::File`] for what could not be written.
    pub fn write(&self, folder: &Path, keep: usize) -> Result<(), LabError> {
        let wrong = |error: std::io::Error| LabError::File { file: folder.to_path_buf(), what: error.to_string() };
        let [new, old] = beside(folder);
        remove(&new).map_err(wrong)?;
        std::fs::create_dir_all(&new).map_err(wrong)?;
        let written = self.write_files(&new);
        if written.is_err() {
            // The disk may be full: what is half written goes.
            let _ = remove(&new);
        }
        written?;
        if folder.exists() {
            remove(&old).map_err(wrong)?;
            std::fs::rename(folder, &old).map_err(wrong)?;
        }
        std::fs::rename(&new, folder).map_err(wrong)?;
        folder.parent().map_or(Ok(()), sync_folder).map_err(wrong)?;
        self.put_away(folder, &old, keep).map_err(wrong)
    }

    /// Gives the checkpoint `old` its name among the `keep` newest, or removes it; removes those that are too many.
    fn put_away(&self, folder: &Path, old: &Path, keep: usize) -> std::io::Result<()> {
        if keep > 1 && old.exists() {
            let text = std::fs::read_to_string(old.join(PROGRESS))?;
            let progress: TrainProgress = serde_json::from_str(&text)?;
            if progress.step < self.progress.step {
                let place = earlier(folder, progress.step);
                remove(&place)?;
                std::fs::rename(old, place)?;
            }
        }
        remove(old)?;
        let mut steps = earlier_steps(folder)?;
        steps.sort_unstable_by(|a, b| b.cmp(a));
        // A run that went back to an earlier checkpoint leaves later ones, which are none of this run.
        let (later, before): (Vec<usize>, Vec<usize>) = steps.into_iter().partition(|step| *step >= self.progress.step);
        let too_many = before.into_iter().skip(keep - 1);
        later.into_iter().chain(too_many).try_for_each(|step| remove(&earlier(folder, step)))
    }

    fn write_files(&self, folder: &Path) -> Result<(), LabError> {
        write_tensors(&folder.join(WEIGHTS), &self.weights, None)?;
        let mut state = HashMap::new();
        for (name, m) in &self.moments {
            state.insert(format!("first:{name}"), Tensor::new(m.first.as_slice(), &Device::Cpu)?);
            state.insert(format!("second:{name}"), Tensor::new(m.second.as_slice(), &Device::Cpu)?);
        }
        for (name, values) in &self.averages {
            state.insert(format!("average:{name}"), Tensor::new(values.as_slice(), &Device::Cpu)?);
        }
        write_tensors(&folder.join(MOMENTS), &state, None)?;
        if let Some(run) = &self.run {
            write_json(folder.join(RUN), run)?;
        }
        write_json(folder.join(PROGRESS), &self.progress)?;
        sync_folder(folder).map_err(|error| LabError::File { file: folder.to_path_buf(), what: error.to_string() })
    }
}

/// Where the checkpoint of an earlier step is kept.
fn earlier(folder: &Path, step: usize) -> PathBuf {
    folder.with_extension(format!("step-{step}"))
}

/// The steps of the checkpoints that are kept.
fn earlier_steps(folder: &Path) -> std::io::Result<Vec<usize>> {
    let name = folder.file_name().map(|name| format!("{}.step-", name.to_string_lossy())).unwrap_or_default();
    let mut steps = Vec::new();
    for entry in folder.parent().map(std::fs::read_dir).transpose()?.into_iter().flatten() {
        let found = entry?.file_name();
        steps.extend(found.to_string_lossy().strip_prefix(&name).and_then(|step| step.parse::<usize>().ok()));
    }
    Ok(steps)
}

/// The names of a checkpoint while it is written, and of the one before it.
fn beside(folder: &Path) -> [PathBuf; 2] {
    ["new", "old"].map(|ending| folder.with_extension(ending))
}

fn write_json(file: PathBuf, value: &impl Serialize) -> Result<(), LabError> {
    let text = serde_json::to_vec_pretty(value).map_err(std::io::Error::from);
    let written = text.and_then(|text| write_whole(&file, |out| out.write_all(&text)));
    written.map_err(|error| LabError::File { file, what: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, step: usize) {
        write_and_keep(folder, step, 1);
    }

    fn write_and_keep(folder: &Path, step: usize, keep: usize) {
        let run: RunIdentity =
            serde_json::from_str(r#"{"recipe": {}, "from_scratch": true, "model": "ab"}"#).expect("valid");
        let progress = TrainProgress { step, ..TrainProgress::default() };
        Checkpoint { progress, run: Some(run), ..Checkpoint::default() }.write(folder, keep).expect("written");
    }

    fn step(folder: &Path) -> Option<usize> {
        Checkpoint::read(folder).expect("read").map(|found| found.progress.step)
    }

    /// Every state that a killed write can leave.
    #[test]
    fn a_write_that_is_cut_short_leaves_the_old_or_the_new_one() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("checkpoint");
        let [new, old] = beside(&folder);
        assert_eq!(step(&folder), None);
        std::fs::create_dir_all(&new).expect("made");
        std::fs::write(new.join(WEIGHTS), "half").expect("written");
        assert_eq!(step(&folder), None, "half a first checkpoint is none");
        write(&folder, 4);
        assert_eq!((step(&folder), new.exists(), old.exists()), (Some(4), false, false));
        // Between the two renames: the new one is whole, the old one has made room.
        write(&place.path().join("next"), 5);
        std::fs::rename(place.path().join("next"), &new).expect("renamed");
        std::fs::rename(&folder, &old).expect("renamed");
        assert_eq!(step(&folder), Some(4));
        // After them: the old one is still there.
        std::fs::create_dir_all(&old).expect("made");
        write(&folder, 6);
        assert_eq!((step(&folder), old.exists()), (Some(6), false));
    }

    #[test]
    fn the_newest_checkpoints_are_kept() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("checkpoint");
        let kept = || {
            let mut steps = earlier_steps(&folder).expect("read");
            steps.sort_unstable();
            steps
        };
        (1..=5).for_each(|at| write_and_keep(&folder, at, 3));
        assert_eq!((step(&folder), kept()), (Some(5), vec![3, 4]));
        assert_eq!(step(&earlier(&folder, 3)), Some(3));
        // Saved again at the same step, and gone on with from an earlier one.
        write_and_keep(&folder, 5, 3);
        assert_eq!((step(&folder), kept()), (Some(5), vec![3, 4]));
        write_and_keep(&folder, 4, 2);
        assert_eq!((step(&folder), kept()), (Some(4), vec![3]));
        write_and_keep(&folder, 6, 1);
        assert_eq!((step(&folder), kept()), (Some(6), vec![]));
    }

    #[test]
    fn a_folder_that_is_there_and_no_checkpoint_is_an_error() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("checkpoint");
        write(&folder, 4);
        std::fs::remove_file(folder.join(PROGRESS)).expect("removed");
        let text = Checkpoint::read(&folder).err().expect("refused").to_string();
        assert!(text.contains(PROGRESS), "{text}");
    }
}
