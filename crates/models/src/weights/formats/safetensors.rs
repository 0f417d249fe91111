//! The safetensors files of a checkpoint, mapped and never read whole.

use std::collections::HashMap;
use std::ops::Range;

use candle_core::DType;
use safetensors::tensor::Dtype;
use zoetrope_kernels::gemm::WeightType;

use super::encoding::Encoding;
use super::file_bytes::FileBytes;
use super::row_source::{Segment, SegmentValues};
use super::shape::matrix_dims;
use super::store::{TensorStore, unwrapped_name};
use crate::checkpoint::Checkpoint;
use crate::error::{ModelError, ModelResult};

/// The one file of a small checkpoint, and the list of shards of a large one.
const FILE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The files of one checkpoint.
pub(crate) struct SafetensorsFiles {
    checkpoint: Checkpoint,
    files: Vec<(String, FileBytes)>,
    entries: HashMap<String, SafetensorsEntry>,
    /// Whether the names are our own: a converted folder says so.
    pub(crate) our_names: bool,
    /// What the matrices of a converted folder are packed as, the type of the fewest bits that some have; `None` when
    /// they are not.
    packed_as: Option<WeightType>,
}

/// Where a tensor lies.
struct SafetensorsEntry {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

/// Where a packed matrix lies.
pub(crate) struct PackedEntry<'a> {
    pub(crate) weight_type: WeightType,
    pub(crate) file: &'a FileBytes,
    pub(crate) bytes: Range<usize>,
}

/// Metadata of files that hold our own names.
pub(crate) const NAMES_KEY: &str = "names";
pub(crate) const OUR_NAMES: &str = "zoetrope";

impl SafetensorsFiles {
    /// Opens `model.safetensors`, or else the shards that its index names; `None` when there is neither.
    ///
    /// Where there are both, the index is of an earlier model that was saved in shards (as transformers reads them).
    ///
    /// # Errors
    /// When a shard is missing or a file is damaged.
    pub(crate) fn open(checkpoint: &Checkpoint) -> ModelResult<Option<Self>> {
        let names = if checkpoint.has(FILE) {
            if checkpoint.has(INDEX) {
                tracing::warn!("{}: not used, because {FILE} is there", checkpoint.path(INDEX).display());
            }
            vec![FILE.to_string()]
        } else {
            let Some(index) = checkpoint.json(INDEX)? else { return Ok(None) };
            let names = shard_names(&index).map_err(|what| checkpoint.error(INDEX, what))?;
            let missing: Vec<&String> = names.iter().filter(|name| !checkpoint.has(name)).collect();
            if let Some(first) = missing.first() {
                let what = format!(
                    "{} of the {} weight files that it names are missing, such as {first}",
                    missing.len(),
                    names.len()
                );
                return Err(checkpoint.incomplete(INDEX, what));
            }
            names
        };
        let mut all = Self::none_of(checkpoint);
        names.into_iter().try_for_each(|name| all.add(name))?;
        Ok(Some(all))
    }

    /// One file, whatever its name.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub(crate) fn file(checkpoint: &Checkpoint, name: &str) -> ModelResult<Self> {
        let mut all = Self::none_of(checkpoint);
        all.add(name.to_string())?;
        Ok(all)
    }

    fn none_of(checkpoint: &Checkpoint) -> Self {
        let (files, entries) = (Vec::new(), HashMap::new());
        SafetensorsFiles { checkpoint: checkpoint.clone(), files, entries, our_names: false, packed_as: None }
    }

    fn add(&mut self, name: String) -> ModelResult<()> {
        let wrong = |what: String| self.checkpoint.incomplete(&name, what);
        let bytes =
            self.checkpoint.open(&name)?.ok_or_else(|| wrong("weight file is missing from the model folder".into()))?;
        let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes)
            .map_err(|error| wrong(format!("not a complete safetensors file: {error}")))?;
        let ours = metadata.metadata().as_ref().and_then(|metadata| metadata.get(NAMES_KEY));
        self.our_names |= ours.is_some_and(|names| names == OUR_NAMES);
        for (tensor, info) in metadata.tensors() {
            let (start, end) = (header + 8 + info.data_offsets.0, header + 8 + info.data_offsets.1);
            if end > bytes.len() || start > end {
                let text = format!("cut off: tensor {tensor} ends at byte {end}, the file has {}", bytes.len());
                return Err(wrong(text));
            }
            let (file, shape) = (self.files.len(), info.shape.clone());
            self.entries.insert(
                unwrapped_name(tensor.as_str()),
                SafetensorsEntry { file, dtype: info.dtype, shape, bytes: start..end },
            );
        }
        self.files.push((name, bytes));
        let some_are = |kind: &WeightType| {
            let ending = packed_name("", *kind);
            self.entries.keys().any(|name| name.ends_with(&ending))
        };
        self.packed_as = WeightType::ALL.into_iter().rev().find(some_are);
        Ok(())
    }

    /// Where the matrix `name` lies packed for a model of `weight_type`, and as what; `None` when no file has it so. In
    /// a folder that was converted to that type each matrix is packed as it was decided then.
    pub(crate) fn packed(
        &self,
        name: &str,
        shape: &[usize],
        weight_type: WeightType,
    ) -> ModelResult<Option<PackedEntry<'_>>> {
        let others = if self.packed_as == Some(weight_type) { &WeightType::ALL[..] } else { &[] };
        let entry = |kind: &WeightType| self.entries.get(&packed_name(name, *kind)).map(|entry| (*kind, entry));
        let Some((kind, entry)) = [weight_type].iter().chain(others).find_map(entry) else { return Ok(None) };
        let (file, bytes) = &self.files[entry.file];
        let (rows, cols) = matrix_dims(shape);
        let (has, wants) = (entry.bytes.len(), kind.bytes(rows, cols));
        if has != wants {
            let what = format!(
                "tensor {} has {has} bytes, {shape:?} packed as {} has {wants}: it is cut, or an earlier version \
                 packed it; convert the original model again",
                packed_name(name, kind),
                kind.name()
            );
            return Err(self.checkpoint.error(file, what));
        }
        Ok(Some(PackedEntry { weight_type: kind, file: bytes, bytes: entry.bytes.clone() }))
    }

    /// What the matrices of a converted folder are packed as; `None` when they are not.
    pub(crate) fn packed_as(&self) -> Option<WeightType> {
        self.packed_as
    }
}

impl TensorStore for SafetensorsFiles {
    /// Packed ones with their suffix.
    fn names(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    /// Packed or not.
    fn has(&self, name: &str) -> bool {
        let packed = || WeightType::ALL.into_iter().any(|kind| self.entries.contains_key(&packed_name(name, kind)));
        self.entries.contains_key(name) || packed()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| &entry.shape[..])
    }

    fn rows(&self, name: &str, shape: &[usize]) -> ModelResult<Segment> {
        let entry = self.entries.get(name).ok_or_else(|| self.missing(name))?;
        let (file, bytes) = &self.files[entry.file];
        let wrong = |what: String| self.checkpoint.error(file, what);
        if entry.shape != shape {
            let text = format!("tensor {name} has shape {:?}, the configuration says {shape:?}", entry.shape);
            return Err(wrong(text));
        }
        let dtype = match entry.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => return Err(wrong(format!("tensor {name} is stored as {other:?}; f32, f16 and bf16 are read"))),
        };
        let values =
            SegmentValues::File { file: bytes.clone(), bytes: entry.bytes.clone(), encoding: Encoding::Float(dtype) };
        Ok(Segment { rows: matrix_dims(shape).0, values })
    }

    fn bytes(&self) -> usize {
        self.files.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    fn missing(&self, name: &str) -> ModelError {
        let folder = self.checkpoint.path("");
        let packed = WeightType::ALL.into_iter().find(|kind| self.entries.contains_key(&packed_name(name, *kind)));
        let what = match packed {
            Some(kind) => {
                format!("tensor {name} is there as {kind:?} only; use that, or convert the original model")
            }
            None => {
                let files: Vec<&str> = self.files.iter().map(|(name, _)| name.as_str()).collect();
                format!("tensor {name} is in none of {}", files.join(", "))
            }
        };
        ModelError::File { file: folder, what }
    }
}

/// The name under which a converted file holds a matrix packed.
pub(crate) fn packed_name(name: &str, weight_type: WeightType) -> String {
    format!("{name}:{}", weight_type.name())
}

/// The name of the matrix that is packed under `name`, or `name` itself.
pub(crate) fn unpacked_name(name: &str) -> &str {
    WeightType::ALL.into_iter().find_map(|kind| name.strip_suffix(&packed_name("", kind))).unwrap_or(name)
}

/// Shard file names of an index, each once, in order.
pub(crate) fn shard_names(index: &serde_json::Value) -> Result<Vec<String>, String> {
    let map = index["weight_map"].as_object().ok_or("has no weight_map")?;
    let mut names: Vec<String> = map.values().filter_map(|v| v.as_str().map(str::to_string)).collect();
    names.sort();
    names.dedup();
    match names.iter().find(|n| n.contains('/') || n.contains('\\') || n.contains("..")) {
        Some(odd) => Err(format!("shard name {odd:?} leaves the model folder")),
        None => Ok(names),
    }
}
