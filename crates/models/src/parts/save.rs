//! A folder of packed weights: what `convert` writes and [`super::weights`] maps.
//!
//! One `model.safetensors`. Every packed matrix is a tensor of bytes named `<name>:<kind>`; they come first, so that
//! each begins at a multiple of 64 bytes. Everything else keeps its name and type.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::listed::{Found, Way};
use super::stored::narrow;
use crate::error::ModelError;

/// What packed bytes are aligned to in the file, and so in memory.
const ALIGN: usize = 64;
/// Bytes of a file, or values, that are gone through at once.
const PIECE: usize = 8 << 20;

/// Writes the tensors that a model over listed weights has asked for to `file`, under a temporary name first. Each is
/// packed, written and dropped before the next is read.
pub(crate) fn write(all: &[Found<'_>], file: &Path) -> Result<(), ModelError> {
    let wrong = |error: std::io::Error| ModelError::File { file: file.to_path_buf(), what: error.to_string() };
    let part = file.with_extension("safetensors.part");
    let mut out = BufWriter::new(std::fs::File::create(&part).map_err(wrong)?);
    let header = header(all);
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(wrong)?;
    out.write_all(header.as_bytes()).map_err(wrong)?;
    for tensor in all {
        pieces(&tensor.way, |bytes| out.write_all(bytes).map_err(wrong))?;
    }
    out.into_inner().map_err(|error| wrong(error.into_error()))?.sync_all().map_err(wrong)?;
    std::fs::rename(&part, file).map_err(wrong)
}

/// Gives the bytes of one tensor to `write`, piece by piece.
fn pieces(way: &Way<'_>, mut write: impl FnMut(&[u8]) -> Result<(), ModelError>) -> Result<(), ModelError> {
    match way {
        Way::Copy(map, bytes) => {
            for start in bytes.clone().step_by(PIECE) {
                let piece = start..bytes.end.min(start + PIECE);
                write(&map[piece.clone()])?;
                map.release(piece);
            }
        }
        Way::Cast(rows, dtype) => {
            let (number, step) = (rows.number(), (PIECE / rows.cols).max(1));
            let (mut values, mut bytes) = (Vec::new(), Vec::new());
            for first in (0..number).step_by(step) {
                let range = first..number.min(first + step);
                values.resize(range.len() * rows.cols, 0.0);
                rows.read(range, &mut values)?;
                bytes.clear();
                narrow(&values, *dtype, &mut bytes);
                write(&bytes)?;
            }
            rows.release();
        }
        Way::Pack(rows, kind) => write(rows.pack(*kind)?.bytes())?,
    }
    Ok(())
}

/// The header, padded with spaces so that the first tensor is aligned.
fn header(all: &[Found<'_>]) -> String {
    let mut entries = serde_json::Map::new();
    entries.insert("__metadata__".to_string(), serde_json::json!({ "format": "pt", "packed_by": "zoetrope" }));
    let mut start = 0;
    for tensor in all {
        let end = start + tensor.bytes;
        let entry = serde_json::json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, end] });
        entries.insert(tensor.name.clone(), entry);
        start = end;
    }
    let mut text = serde_json::Value::Object(entries).to_string();
    let padded = (text.len() + 8).next_multiple_of(ALIGN) - 8;
    text.push_str(&" ".repeat(padded - text.len()));
    text
}
