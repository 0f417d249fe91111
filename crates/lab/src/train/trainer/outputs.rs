//! What a run has learned, as folders to use.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::weights::Archive;

use super::averages;
use super::place::{ADAPTER, EXPORTED, name_of};
use super::run::Trainer;
use crate::error::LabError;
use crate::train::export::{Adapters, export, write_adapter};
use crate::train::probe_heads::PREFIX;

impl Trainer {
    /// Writes what was learned: the adapter where there is one, else the model, without the probe heads, as f32; the
    /// averages where the stage asks for them. Gives its folder.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn export(&self) -> Result<PathBuf, LabError> {
        let name = if self.active.adapters(self.stage()).is_empty() { EXPORTED } else { ADAPTER };
        self.export_to(&self.folder.join(name))
    }

    /// Writes the whole model, adapters merged into it, as f32; gives its folder.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn export_merged(&self) -> Result<PathBuf, LabError> {
        let folder = self.folder.join(EXPORTED);
        averages::with(&self.active.trained, &self.averages, || {
            let first = vec![self.active.adapters(self.stage()).archive(), Archive::memory(self.weights())];
            export(&self.origin.template, &folder, first, DType::F32)
        })?;
        Ok(folder)
    }

    /// As [`Trainer::export`], to `folder`.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub(super) fn export_to(&self, folder: &Path) -> Result<PathBuf, LabError> {
        averages::with(&self.active.trained, &self.averages, || {
            let adapters = self.active.adapters(self.stage());
            let mut weights = self.weights();
            if !adapters.is_empty() {
                // Heads of earlier stages have no place in the model that an adapter is read with.
                let asked = self.active.model.weights().parameters();
                weights.retain(|name, _| asked.contains_key(name));
            }
            write_learned(&self.origin.template, folder, &adapters, weights)
        })?;
        Ok(folder.to_path_buf())
    }
}

/// Writes the adapter where there is one, else the whole model, as f32. `weights` is everything that was learned.
///
/// # Errors
/// [`LabError::File`].
fn write_learned(
    template: &Checkpoint,
    folder: &Path,
    adapters: &Adapters,
    mut weights: HashMap<String, Tensor>,
) -> Result<(), LabError> {
    if adapters.is_empty() {
        return export(template, folder, vec![Archive::memory(weights)], DType::F32);
    }
    adapters.names().for_each(|name| drop(weights.remove(name)));
    weights.retain(|name, _| !name.starts_with(PREFIX));
    write_adapter(folder, adapters, &weights, &name_of(template))
}
