//! A trained model as a folder that this system and transformers load.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Tensor, Var};

use super::TrainError;

/// Copies the configuration, tokenizer and processor files of `template` to `folder` and writes the weights, stored as
/// `dtype`, under their published (transformers) names.
pub fn export(
    template: &Path,
    folder: &Path,
    variables: &BTreeMap<String, Var>,
    dtype: DType,
) -> Result<(), TrainError> {
    let wrong = |error: std::io::Error| TrainError::File { file: folder.to_path_buf(), what: error.to_string() };
    std::fs::create_dir_all(folder).map_err(wrong)?;
    for entry in std::fs::read_dir(template).map_err(wrong)? {
        let from = entry.map_err(wrong)?.path();
        let small = from.extension().is_some_and(|e| e == "json" || e == "jinja" || e == "md");
        if let Some(name) = from.file_name().filter(|_| small) {
            let to = folder.join(name);
            if to != from {
                std::fs::copy(&from, to).map_err(wrong)?;
            }
        }
    }
    let stored = variables.iter().map(|(name, v)| Ok((name.clone(), v.as_tensor().to_dtype(dtype)?)));
    let weights: HashMap<String, Tensor> = stored.collect::<Result<_, candle_core::Error>>()?;
    let (file, part) = (folder.join("model.safetensors"), folder.join("model.safetensors.part"));
    // transformers asks for this mark.
    let mark = HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize_to_file(weights.iter(), Some(mark), &part)
        .map_err(|error| TrainError::File { file: part.clone(), what: error.to_string() })?;
    std::fs::rename(&part, &file).map_err(|error| TrainError::File { file, what: error.to_string() })
}
