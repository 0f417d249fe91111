//! A trained model as a folder that this system and transformers load.

use std::collections::{BTreeMap, HashMap};
use std::io::Error;
use std::path::Path;

use candle_core::{DType, Tensor, Var};
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::folder::writer::copy_small_files;
use zoetrope_system::files::{replace_whole, sync_folder};

use crate::error::LabError;

/// Copies everything but weights from `template` to `folder` and writes the weights, in `dtype`, under our own names,
/// which are those of the family's transformers layout. Each file is replaced as a whole, the weights last.
///
/// # Errors
/// When a file cannot be read or written.
pub fn export(
    template: &Checkpoint,
    folder: &Path,
    variables: &BTreeMap<String, Var>,
    dtype: DType,
) -> Result<(), LabError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| LabError::File { file: folder.to_path_buf(), what: error.to_string() })?;
    copy_small_files(template, folder)?;
    let converted = variables.iter().map(|(name, v)| Ok((name.clone(), v.as_tensor().to_dtype(dtype)?)));
    let weights: HashMap<String, Tensor> = converted.collect::<Result<_, candle_core::Error>>()?;
    // transformers requires this metadata.
    let mark = HashMap::from([("format".to_string(), "pt".to_string())]);
    let file = folder.join("model.safetensors");
    write_tensors(&file, &weights, Some(mark))?;
    sync_folder(folder).map_err(|error| LabError::File { file, what: error.to_string() })
}

/// Writes tensors to `file`, which has its name when they are on disk.
///
/// # Errors
/// [`LabError::File`].
pub(super) fn write_tensors(
    file: &Path,
    tensors: &HashMap<String, Tensor>,
    metadata: Option<HashMap<String, String>>,
) -> Result<(), LabError> {
    let write = |part: &Path| safetensors::serialize_to_file(tensors.iter(), metadata, part).map_err(Error::other);
    replace_whole(file, write).map_err(|error| LabError::File { file: file.to_path_buf(), what: error.to_string() })
}
