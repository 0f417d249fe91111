//! Checkpoints: weights, optimizer moments and progress in one folder, replaced as a whole.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::optimizer::{Moments, Trained};
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
}

/// What a run needs to continue.
pub struct Checkpoint {
    /// Weights by name.
    pub weights: HashMap<String, Tensor>,
    /// Moments of the optimizer by name.
    pub moments: BTreeMap<String, Moments>,
    /// How far the run has come.
    pub progress: TrainProgress,
}

const WEIGHTS: &str = "weights.safetensors";
const MOMENTS: &str = "moments.safetensors";
const PROGRESS: &str = "progress.json";

impl Checkpoint {
    /// The checkpoint in `folder`, if there is one.
    pub fn read(folder: &Path) -> Result<Option<Self>, LabError> {
        let file = folder.join(PROGRESS);
        if !file.exists() {
            return Ok(None);
        }
        let wrong = |what: String| LabError::File { file: file.clone(), what };
        let text = std::fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
        let progress = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let load = |name: &str| {
            let file = folder.join(name);
            candle_core::safetensors::load(&file, &Device::Cpu)
                .map_err(|error| LabError::File { file, what: error.to_string() })
        };
        let weights = load(WEIGHTS)?;
        let mut moments: BTreeMap<String, Moments> = BTreeMap::new();
        for (name, tensor) in load(MOMENTS)? {
            let values = tensor.to_vec1::<f32>()?;
            match name.split_once(':') {
                Some(("first", name)) => moments.entry(name.to_string()).or_default().first = values,
                Some(("second", name)) => moments.entry(name.to_string()).or_default().second = values,
                _ => return Err(wrong(format!("{MOMENTS} has an unknown tensor {name}"))),
            }
        }
        Ok(Some(Checkpoint { weights, moments, progress }))
    }

    /// Writes a checkpoint beside `folder`, then moves it there: an interrupted write leaves the old one intact.
    pub fn write(
        folder: &Path,
        trained: &BTreeMap<String, Trained>,
        moments: &BTreeMap<String, Moments>,
        progress: &TrainProgress,
    ) -> Result<(), LabError> {
        let wrong = |error: std::io::Error| LabError::File { file: folder.to_path_buf(), what: error.to_string() };
        let (new, old) = (folder.with_extension("new"), folder.with_extension("old"));
        for stale in [&new, &old] {
            if stale.exists() {
                std::fs::remove_dir_all(stale).map_err(wrong)?;
            }
        }
        std::fs::create_dir_all(&new).map_err(wrong)?;
        let weights: HashMap<String, Tensor> =
            trained.iter().map(|(name, t)| (name.clone(), t.variable.as_tensor().clone())).collect();
        candle_core::safetensors::save(&weights, new.join(WEIGHTS))?;
        let mut state = HashMap::new();
        for (name, m) in moments {
            state.insert(format!("first:{name}"), Tensor::new(m.first.as_slice(), &Device::Cpu)?);
            state.insert(format!("second:{name}"), Tensor::new(m.second.as_slice(), &Device::Cpu)?);
        }
        candle_core::safetensors::save(&state, new.join(MOMENTS))?;
        let text = serde_json::to_string_pretty(progress).map_err(|e| wrong(std::io::Error::other(e)))?;
        std::fs::write(new.join(PROGRESS), text).map_err(wrong)?;
        if folder.exists() {
            std::fs::rename(folder, &old).map_err(wrong)?;
        }
        std::fs::rename(&new, folder).map_err(wrong)?;
        if old.exists() {
            std::fs::remove_dir_all(&old).map_err(wrong)?;
        }
        Ok(())
    }
}
