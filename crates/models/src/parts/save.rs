//! A folder of packed weights: what `convert` writes and [`super::weights`] maps.
//!
//! One `model.safetensors`. Every packed matrix is a tensor of bytes named `<name>:<kind>`; they come first, so that
//! each begins at a multiple of 64 bytes. Everything else keeps its name and type.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::weights::{Held, Weights};
use crate::error::ModelError;

/// What packed bytes are aligned to in the file, and so in memory.
const ALIGN: usize = 64;

/// Writes all tensors that a model over `weights` has asked for to `file`, under a temporary name first.
pub(crate) fn write(weights: &Weights, file: &Path) -> Result<(), ModelError> {
    let wrong = |error: std::io::Error| ModelError::File { file: file.to_path_buf(), what: error.to_string() };
    let held = weights.held()?;
    let part = file.with_extension("safetensors.part");
    let mut out = BufWriter::new(std::fs::File::create(&part).map_err(wrong)?);
    let header = header(&held);
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(wrong)?;
    out.write_all(header.as_bytes()).map_err(wrong)?;
    for tensor in &held {
        out.write_all(tensor.bytes()).map_err(wrong)?;
    }
    out.into_inner().map_err(|error| wrong(error.into_error()))?.sync_all().map_err(wrong)?;
    std::fs::rename(&part, file).map_err(wrong)
}

/// The header, padded with spaces so that the first tensor is aligned.
fn header(held: &[Held]) -> String {
    let mut entries = serde_json::Map::new();
    entries.insert("__metadata__".to_string(), serde_json::json!({ "format": "pt", "packed_by": "zoetrope" }));
    let mut start = 0;
    for tensor in held {
        let end = start + tensor.bytes().len();
        let entry = serde_json::json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, end] });
        entries.insert(tensor.name.clone(), entry);
        start = end;
    }
    let mut text = serde_json::Value::Object(entries).to_string();
    let padded = (text.len() + 8).next_multiple_of(ALIGN) - 8;
    text.push_str(&" ".repeat(padded - text.len()));
    text
}
