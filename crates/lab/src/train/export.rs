//! A trained model as a folder that this system and transformers load.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Tensor, Var};
use zoetrope_models::checkpoint::Checkpoint;

use crate::error::LabError;

/// Copies everything but weights from `template` to `folder` and writes the weights, in `dtype`, under our own names,
/// which are those of the family's transformers layout.
pub fn export(
    template: &Checkpoint,
    folder: &Path,
    variables: &BTreeMap<String, Var>,
    dtype: DType,
) -> Result<(), LabError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| LabError::File { file: folder.to_path_buf(), what: error.to_string() })?;
    template.copy_small_files(folder)?;
    let converted = variables.iter().map(|(name, v)| Ok((name.clone(), v.as_tensor().to_dtype(dtype)?)));
    let weights: HashMap<String, Tensor> = converted.collect::<Result<_, candle_core::Error>>()?;
    let (file, part) = (folder.join("model.safetensors"), folder.join("model.safetensors.part"));
    // transformers requires this metadata.
    let mark = HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize_to_file(weights.iter(), Some(mark), &part)
        .map_err(|error| LabError::File { file: part.clone(), what: error.to_string() })?;
    std::fs::rename(&part, &file).map_err(|error| LabError::File { file, what: error.to_string() })
}
