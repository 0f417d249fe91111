//! What a run has learned, as folders to use.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Tensor};
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::weights::Archive;

use super::place::name_of;
use crate::error::LabError;
use crate::train::export::{Adapters, export, write_adapter};
use crate::train::probe_heads::PREFIX;

/// Writes the adapter where there is one, else the whole model, as f32. `weights` is everything that was learned.
///
/// # Errors
/// [`LabError::File`].
pub(super) fn write_learned(
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

/// Writes the whole model with the adapters merged into it, as f32.
///
/// # Errors
/// [`LabError::File`].
pub(super) fn write_merged(
    template: &Checkpoint,
    folder: &Path,
    adapters: &Adapters,
    weights: HashMap<String, Tensor>,
) -> Result<(), LabError> {
    export(template, folder, vec![adapters.archive(), Archive::memory(weights)], DType::F32)
}
