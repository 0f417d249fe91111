//! The safetensors files of a checkpoint folder, mapped and never read whole.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::Dtype;
use zoetrope_kernels::map::Mapped;
use zoetrope_kernels::packed::{Kind, Packed};

use super::stored::{Part, Rows, Stored, widen};
use crate::error::ModelError;

/// The tensor names of the files, for telling layouts apart.
pub struct Names<'a>(pub(super) Option<&'a Files>);

impl Names<'_> {
    /// Whether any tensor's name starts with `prefix`.
    pub fn any(&self, prefix: &str) -> bool {
        self.0.is_some_and(|files| files.entries.keys().any(|name| name.starts_with(prefix)))
    }
}

/// The mapped safetensors files of a folder.
pub(super) struct Files {
    folder: PathBuf,
    maps: Vec<(PathBuf, Arc<Mapped>)>,
    pub(super) entries: HashMap<String, Entry>,
}

/// A file, and a tensor's bytes there.
type Place<'a> = (&'a Arc<Mapped>, Range<usize>);

/// Where a tensor lies.
pub(super) struct Entry {
    map: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Its first byte in the file, and the one after its last.
    start: usize,
    end: usize,
}

impl Files {
    /// Those of `folder`: `model.safetensors`, or the shards its index names.
    pub(super) fn open(folder: &Path) -> Result<Self, ModelError> {
        let mut files = Files { folder: folder.to_path_buf(), maps: Vec::new(), entries: HashMap::new() };
        let index = folder.join("model.safetensors.index.json");
        let names = if index.is_file() { shards(&index)? } else { vec!["model.safetensors".to_string()] };
        for name in names {
            files.add(&folder.join(name))?;
        }
        Ok(files)
    }

    fn add(&mut self, path: &Path) -> Result<(), ModelError> {
        let wrong = |what: String| ModelError::File { file: path.to_path_buf(), what };
        let map = Mapped::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound if path.with_file_name("pytorch_model.bin").exists() => {
                wrong("missing; pytorch_model.bin is not read, convert it to safetensors".to_string())
            }
            std::io::ErrorKind::NotFound => wrong("weight file is missing from the model folder".to_string()),
            _ => wrong(error.to_string()),
        })?;
        let (header, metadata) = safetensors::SafeTensors::read_metadata(&map)
            .map_err(|error| wrong(format!("not a complete safetensors file: {error}")))?;
        let number = self.maps.len();
        for (name, info) in metadata.tensors() {
            let (start, end) = (header + 8 + info.data_offsets.0, header + 8 + info.data_offsets.1);
            if end > map.len() || start > end {
                let text = format!("cut off: tensor {name} ends at byte {end}, the file has {}", map.len());
                return Err(wrong(text));
            }
            let entry = Entry { map: number, dtype: info.dtype, shape: info.shape.clone(), start, end };
            self.entries.insert(name.to_string(), entry);
        }
        self.maps.push((path.to_path_buf(), Arc::new(map)));
        Ok(())
    }

    /// The whole tensor `name`, which must have `shape`.
    pub(super) fn read(
        &self,
        name: &str,
        shape: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor, ModelError> {
        let (entry, stored) = self.float(name, shape)?;
        let tensor = Tensor::from_raw_buffer(self.bytes_of(entry), stored, shape, &Device::Cpu)?;
        self.maps[entry.map].1.release(entry.start..entry.end);
        Ok(tensor.to_dtype(dtype)?.to_device(device)?)
    }

    /// Rows `rows` of the matrix `name` as f32, one after the other, to `out`.
    pub(super) fn rows(&self, name: &str, shape: &[usize], rows: &[u32], out: &mut [f32]) -> Result<(), ModelError> {
        let (entry, stored) = self.float(name, shape)?;
        let bytes = self.bytes_of(entry);
        let cols: usize = shape[1..].iter().product();
        let size = cols * stored.size_in_bytes();
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(cols)) {
            let at = *row as usize * size;
            let Some(bytes) = bytes.get(at..at + size) else {
                return Err(ModelError::Caller(format!("tensor {name} of {shape:?} has no row {row}")));
            };
            widen(bytes, stored, out);
        }
        Ok(())
    }

    /// The matrix `name` (further axes count as columns) packed as `kind`: mapped when the file holds it packed so,
    /// else packed now, 32 rows at a time.
    pub(super) fn packed(&self, name: &str, shape: &[usize], kind: Kind) -> Result<Packed, ModelError> {
        let Some((map, bytes)) = self.packed_bytes(name, shape, kind)? else {
            return self.rows_of(name, shape)?.pack(kind);
        };
        let (rows, cols) = (shape[0], shape[1..].iter().product());
        let refused = || ModelError::Bug(format!("tensor {name} of {shape:?} is not {kind:?} where it was found"));
        Packed::mapped(kind, rows, cols, Arc::clone(map), bytes).ok_or_else(refused)
    }

    /// Where the matrix `name` lies packed as `kind`; `None` when no file holds it so.
    pub(super) fn packed_bytes(
        &self,
        name: &str,
        shape: &[usize],
        kind: Kind,
    ) -> Result<Option<Place<'_>>, ModelError> {
        let stored = packed_name(name, kind);
        let Some(entry) = self.entries.get(&stored) else { return Ok(None) };
        let (path, map) = &self.maps[entry.map];
        let (has, wants) = (entry.end - entry.start, kind.bytes(shape[0], shape[1..].iter().product()));
        if has != wants {
            let what = format!("tensor {stored} has {has} bytes, {shape:?} packed as {kind:?} has {wants}");
            return Err(ModelError::File { file: path.clone(), what });
        }
        Ok(Some((map, entry.start..entry.end)))
    }

    /// The rows of the float tensor `name`, which must have `shape`; further axes count as columns, and a tensor of
    /// one axis is one row.
    pub(super) fn rows_of(&self, name: &str, shape: &[usize]) -> Result<Rows<'_>, ModelError> {
        let (entry, stored) = self.float(name, shape)?;
        let rows = if shape.len() > 1 { shape[0] } else { 1 };
        let map = &self.maps[entry.map].1;
        let part = Part { map, bytes: entry.start..entry.end, stored: Stored::Float(stored), rows };
        Ok(Rows { cols: shape.iter().product::<usize>() / rows.max(1), parts: vec![part] })
    }

    /// Whether a file holds the tensor `name`, packed or not.
    pub(super) fn has(&self, name: &str) -> bool {
        let packed = || Kind::ALL.into_iter().any(|kind| self.entries.contains_key(&packed_name(name, kind)));
        self.entries.contains_key(name) || packed()
    }

    /// How the matrices of a converted folder are packed; `None` when they are not.
    pub(super) fn packed_kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| self.entries.keys().any(|name| name.ends_with(&packed_name("", *kind))))
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> usize {
        self.maps.iter().map(|(_, map)| map.len()).sum()
    }

    fn entry(&self, name: &str) -> Result<&Entry, ModelError> {
        self.entries.get(name).ok_or_else(|| {
            if let Some(kind) = Kind::ALL.into_iter().find(|kind| self.entries.contains_key(&packed_name(name, *kind)))
            {
                let what = format!("tensor {name} is there as {kind:?} only; use that, or convert the original model");
                return ModelError::File { file: self.folder.clone(), what };
            }
            let files: Vec<_> = self.maps.iter().filter_map(|(path, _)| path.file_name()?.to_str()).collect();
            let what = format!("tensor {name} is in none of {}", files.join(", "));
            ModelError::File { file: self.folder.clone(), what }
        })
    }

    /// Place and type of the float tensor `name`, which must have `shape`.
    fn float(&self, name: &str, shape: &[usize]) -> Result<(&Entry, DType), ModelError> {
        let entry = self.entry(name)?;
        let wrong = |what: String| ModelError::File { file: self.maps[entry.map].0.clone(), what };
        if entry.shape != shape {
            let text = format!("tensor {name} has shape {:?}, the configuration says {shape:?}", entry.shape);
            return Err(wrong(text));
        }
        let stored = match entry.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => return Err(wrong(format!("tensor {name} is stored as {other:?}; f32, f16 and bf16 are read"))),
        };
        Ok((entry, stored))
    }

    fn bytes_of(&self, entry: &Entry) -> &[u8] {
        &self.maps[entry.map].1[entry.start..entry.end]
    }
}

/// The name under which a converted file holds a matrix packed.
pub(crate) fn packed_name(name: &str, kind: Kind) -> String {
    format!("{name}:{}", kind.name())
}

/// The name of the matrix that is packed under `name`, or `name` itself.
pub(super) fn unpacked_name(name: &str) -> &str {
    Kind::ALL.into_iter().find_map(|kind| name.strip_suffix(&packed_name("", kind))).unwrap_or(name)
}

/// Shard file names of an index, each once, in order.
fn shards(index: &Path) -> Result<Vec<String>, ModelError> {
    let wrong = |what: String| ModelError::File { file: index.to_path_buf(), what };
    let text = std::fs::read_to_string(index).map_err(|error| wrong(error.to_string()))?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let map = json["weight_map"].as_object().ok_or_else(|| wrong("has no weight_map".to_string()))?;
    let mut names: Vec<String> = map.values().filter_map(|v| v.as_str().map(str::to_string)).collect();
    names.sort();
    names.dedup();
    if let Some(odd) = names.iter().find(|n| n.contains('/') || n.contains('\\') || n.contains("..")) {
        return Err(wrong(format!("shard name {odd:?} leaves the model folder")));
    }
    Ok(names)
}
