//! What a run has learned as folders that this system and others load: a whole model, or an adapter.

mod adapter;
mod tensors;

use std::io::Error;
use std::path::Path;

use candle_core::DType;
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::folder::writer::copy_small_files;
use zoetrope_models::loading;
use zoetrope_models::weights::Archive;
use zoetrope_system::files::{replace_whole, sync_folder};

pub(super) use self::adapter::{Adapters, write_adapter};
pub(super) use self::tensors::write_tensors;
use crate::error::LabError;

/// Copies everything but weights from `template` to `folder` and writes the weights in `dtype` under our own names,
/// which are those of the family's transformers layout: those of `first`, and what these lack from `template`. Each
/// file is replaced as a whole, the weights last. One tensor at a time is in memory.
///
/// # Errors
/// When a file cannot be read or written.
pub fn export(template: &Checkpoint, folder: &Path, first: Vec<Archive>, dtype: DType) -> Result<(), LabError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| LabError::File { file: folder.to_path_buf(), what: error.to_string() })?;
    copy_small_files(template, folder)?;
    let file = folder.join("model.safetensors");
    let failed = |error: Error| LabError::File { file: file.clone(), what: error.to_string() };
    replace_whole(&file, |part| loading::write_floats(template, first, dtype, part).map_err(Error::other))
        .map_err(failed)?;
    sync_folder(folder).map_err(failed)
}
