//! Tensors in memory to a safetensors file.

use std::collections::HashMap;
use std::io::Error;
use std::path::Path;

use candle_core::Tensor;
use zoetrope_system::files::replace_whole;

use crate::error::LabError;

/// Writes tensors to `file`, which has its name when they are on disk.
///
/// # Errors
/// [`LabError::File`].
pub(in crate::train) fn write_tensors(
    file: &Path,
    tensors: &HashMap<String, Tensor>,
    metadata: Option<HashMap<String, String>>,
) -> Result<(), LabError> {
    let write = |part: &Path| safetensors::serialize_to_file(tensors.iter(), metadata, part).map_err(Error::other);
    replace_whole(file, write).map_err(|error| LabError::File { file: file.to_path_buf(), what: error.to_string() })
}
