//! A trained model as a folder that this system and transformers load.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

use candle_core::{DType, Tensor, Var};
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::folder::writer::copy_small_files;
use zoetrope_system::files::{remove, sync_folder};

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
    let failed = |what: String| LabError::File { file: file.to_path_buf(), what };
    // The library writes by name only.
    let part = file.with_extension("safetensors.part");
    remove(&part).map_err(|error| failed(error.to_string()))?;
    let written = safetensors::serialize_to_file(tensors.iter(), metadata, &part).map_err(|error| error.to_string());
    let named = written.and_then(|()| {
        let on_disk = File::open(&part).and_then(|part| part.sync_all());
        on_disk.and_then(|()| std::fs::rename(&part, file)).map_err(|error| error.to_string())
    });
    named.map_err(|what| {
        // The disk may be full: what is half written goes.
        let _ = remove(&part);
        failed(what)
    })
}
