//! Writes the weights of a model: every tensor found and checked first, then read, packed, written and dropped one by
//! one.
//!
//! A converted (quantized) folder has one `model.safetensors` under our own names. Every packed matrix is a tensor of
//! bytes named `<name>:<type>`; they come first, so that each begins at a multiple of 64 bytes. Everything else keeps
//! its type. A trained model is written as floats of one type.

use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use candle_core::DType;
use zoetrope_kernels::gemm::WeightType;

use super::archive::Archive;
use super::formats::{Encoding, FileBytes, NAMES_KEY, OUR_NAMES, PackedEntry, RowSource, encode_floats, packed_name};
use super::loader::Weights;
use super::loader::lookup::find_rows;
use super::origin::Origin;
use super::precision::type_of_matrix;
use super::survey::{Survey, TensorRequest};
use crate::error::{ModelError, ModelResult};

/// What packed bytes are aligned to in the file, and so in memory.
const ALIGN: usize = 64;
/// Bytes of a file, or values, that are converted at a time.
const PIECE: usize = 8 << 20;

/// A tensor of a converted file.
struct PlannedTensor {
    name: String,
    /// As safetensors writes it.
    dtype: String,
    shape: Vec<usize>,
    bytes: usize,
    transform: Transform,
}

/// What becomes of a tensor's values.
enum Transform {
    /// The bytes are taken over.
    Copy(FileBytes, Range<usize>),
    /// Values become those of this type.
    Cast(RowSource, DType),
    /// A matrix is packed.
    Pack(RowSource, WeightType),
}

/// Finds and checks everything that a model over surveyed weights asked for; what the returned plan writes is certain
/// to be there.
pub(crate) struct ConversionPlan {
    tensors: Vec<PlannedTensor>,
    metadata: serde_json::Value,
}

impl ConversionPlan {
    /// # Errors
    /// When a tensor is missing, has another shape or type, is cut off, or has no place in the model.
    pub(crate) fn new(weights: &Weights) -> ModelResult<Self> {
        let (archives, survey) = surveyed(weights)?;
        let requests = survey.requests();
        let mut tensors = Vec::new();
        for (canonical, request) in requests.iter().filter(|(_, request)| request.packed) {
            tensors.push(matrix(archives, canonical, request, survey.weight_type)?);
        }
        // A tied table is there twice: as rows to look up, and packed as the output head.
        for (canonical, request) in requests.iter().filter(|(_, request)| request.values) {
            tensors.push(values(archives, canonical, request)?);
        }
        archives.iter().try_for_each(Archive::refuse_left_over)?;
        let metadata = serde_json::json!({ "format": "pt", "packed_by": "zoetrope", NAMES_KEY: OUR_NAMES });
        Ok(ConversionPlan { tensors, metadata })
    }

    /// The plan of everything as floats of the type `dtype`.
    ///
    /// # Errors
    /// As [`ConversionPlan::new`].
    pub(crate) fn floats(weights: &Weights, dtype: DType) -> ModelResult<Self> {
        let (archives, survey) = surveyed(weights)?;
        let mut tensors = Vec::new();
        for (canonical, request) in &survey.requests() {
            let source = find_rows(archives, canonical, request.second.as_deref(), &request.shape)?;
            tensors.push(PlannedTensor::cast(canonical, &request.shape, source, dtype));
        }
        // transformers requires the format; the names tell our reader that no published layout has to fit.
        let metadata = serde_json::json!({ "format": "pt", NAMES_KEY: OUR_NAMES });
        Ok(ConversionPlan { tensors, metadata })
    }

    /// Writes the tensors to the new file `file`, and waits for the disk.
    pub(crate) fn write(&self, file: &Path) -> ModelResult<()> {
        let wrong = |error: std::io::Error| ModelError::Output { file: file.to_path_buf(), what: error.to_string() };
        let mut out = BufWriter::new(std::fs::File::create_new(file).map_err(wrong)?);
        let header = self.header();
        out.write_all(&(header.len() as u64).to_le_bytes()).map_err(wrong)?;
        out.write_all(header.as_bytes()).map_err(wrong)?;
        for tensor in &self.tensors {
            tensor.transform.pieces(|bytes| out.write_all(bytes).map_err(wrong))?;
        }
        out.into_inner().map_err(|error| wrong(error.into_error()))?.sync_all().map_err(wrong)
    }

    /// The header, padded with spaces so that the first tensor is aligned.
    fn header(&self) -> String {
        let mut entries = serde_json::Map::new();
        entries.insert("__metadata__".to_string(), self.metadata.clone());
        let mut start = 0;
        for tensor in &self.tensors {
            let end = start + tensor.bytes;
            let entry =
                serde_json::json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, end] });
            entries.insert(tensor.name.clone(), entry);
            start = end;
        }
        let mut text = serde_json::Value::Object(entries).to_string();
        let padded = (text.len() + 8).next_multiple_of(ALIGN) - 8;
        text.push_str(&" ".repeat(padded - text.len()));
        text
    }
}

impl PlannedTensor {
    /// The values of `source` as floats of the type `dtype`, copied where they are of it.
    fn cast(name: &str, shape: &[usize], source: RowSource, dtype: DType) -> Self {
        let transform = match source.single_file() {
            Some((file, range, encoding)) if encoding == Encoding::Float(dtype) => {
                Transform::Copy(file.clone(), range.clone())
            }
            _ => Transform::Cast(source, dtype),
        };
        let bytes = Encoding::Float(dtype).bytes(shape.iter().product());
        let dtype = dtype.as_str().to_uppercase();
        PlannedTensor { name: name.to_string(), dtype, shape: shape.to_vec(), bytes, transform }
    }
}

fn surveyed(weights: &Weights) -> ModelResult<(&[Archive], &Survey)> {
    weights.surveyed().ok_or_else(|| ModelError::Bug("only surveyed weights are written".to_string()))
}

/// The matrix packed for a model of `model_type`.
fn matrix(
    archives: &[Archive],
    canonical: &str,
    request: &TensorRequest,
    model_type: WeightType,
) -> ModelResult<PlannedTensor> {
    let shape = &request.shape;
    let (weight_type, transform) = match already_packed(archives, canonical, request, model_type)? {
        Some(entry) => (entry.weight_type, Transform::Copy(entry.file.clone(), entry.bytes)),
        None => {
            let source = find_rows(archives, canonical, request.second.as_deref(), shape)?;
            let weight_type = type_of_matrix(model_type, request.sensitive, source.stored_as());
            (weight_type, Transform::Pack(source, weight_type))
        }
    };
    let bytes = weight_type.bytes(shape[0], shape[1..].iter().product());
    let name = packed_name(canonical, weight_type);
    Ok(PlannedTensor { name, dtype: "U8".to_string(), shape: vec![bytes], bytes, transform })
}

/// The matrix as a folder that was converted before has it, unless an archive before that gives other values.
fn already_packed<'a>(
    archives: &'a [Archive],
    canonical: &str,
    request: &TensorRequest,
    model_type: WeightType,
) -> ModelResult<Option<PackedEntry<'a>>> {
    for archive in archives {
        match (archive.locate(canonical), archive.safetensors()) {
            (Some(Origin::Tensor(theirs)), Some(files)) => return files.packed(&theirs, &request.shape, model_type),
            (None, _) => continue,
            (Some(_), _) => return Ok(None),
        }
    }
    Ok(None)
}

fn values(archives: &[Archive], canonical: &str, request: &TensorRequest) -> ModelResult<PlannedTensor> {
    let shape = &request.shape;
    let source = find_rows(archives, canonical, request.second.as_deref(), shape)?;
    // What is not packed keeps the type that the model's own folder has it in.
    let own = archives.last().map(|archive| find_rows(std::slice::from_ref(archive), canonical, None, shape));
    let dtype = match own.as_ref().and_then(|own| own.as_ref().ok()).and_then(RowSource::single_file) {
        Some((_, _, Encoding::Float(dtype))) => dtype,
        _ => DType::F32,
    };
    Ok(PlannedTensor::cast(canonical, shape, source, dtype))
}

impl Transform {
    /// Gives the bytes to `write`, piece by piece.
    fn pieces(&self, mut write: impl FnMut(&[u8]) -> ModelResult<()>) -> ModelResult<()> {
        match self {
            Transform::Copy(file, bytes) => {
                for start in bytes.clone().step_by(PIECE) {
                    let piece = start..bytes.end.min(start + PIECE);
                    write(&file[piece.clone()])?;
                    file.release(piece);
                }
            }
            Transform::Cast(source, dtype) => {
                let (rows, step) = (source.rows(), (PIECE / source.cols).max(1));
                let (mut values, mut bytes) = (Vec::new(), Vec::new());
                for first in (0..rows).step_by(step) {
                    let range = first..rows.min(first + step);
                    values.resize(range.len() * source.cols, 0.0);
                    source.read(range, &mut values)?;
                    bytes.clear();
                    encode_floats(&values, *dtype, &mut bytes);
                    write(&bytes)?;
                }
                source.release();
            }
            Transform::Pack(source, weight_type) => write(source.pack(*weight_type)?.bytes())?,
        }
        Ok(())
    }
}
