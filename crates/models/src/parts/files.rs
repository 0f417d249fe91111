//! The safetensors files of a checkpoint folder, mapped and never read whole.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::Dtype;
use zoetrope_kernels::map::Mapped;
use zoetrope_kernels::packed::{Kind, Packed};

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

/// Where a tensor lies.
pub(super) struct Entry {
    map: usize,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Its first byte in the file, and the one after its last.
    pub(super) start: usize,
    pub(super) end: usize,
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
        let (bytes, stored) = self.floats(name, shape)?;
        Ok(Tensor::from_raw_buffer(bytes, stored, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
    }

    /// Rows `rows` of the matrix `name` as f32, one after the other, to `out`.
    pub(super) fn rows(&self, name: &str, shape: &[usize], rows: &[u32], out: &mut [f32]) -> Result<(), ModelError> {
        let (bytes, stored) = self.floats(name, shape)?;
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
        let (rows, cols) = (shape[0], shape[1..].iter().product());
        let stored = packed_name(name, kind);
        if let Some(entry) = self.entries.get(&stored) {
            let (path, map) = &self.maps[entry.map];
            return Packed::mapped(kind, rows, cols, Arc::clone(map), entry.start..entry.end).ok_or_else(|| {
                let (has, wants) = (entry.end - entry.start, kind.bytes(rows, cols));
                let what = format!("tensor {stored} has {has} bytes, {shape:?} packed as {kind:?} has {wants}");
                ModelError::File { file: path.clone(), what }
            });
        }
        let (bytes, stored) = self.floats(name, shape)?;
        let size = cols * stored.size_in_bytes();
        Ok(Packed::from_rows(kind, rows, cols, |rows, out| {
            widen(&bytes[rows.start * size..rows.end * size], stored, out);
        }))
    }

    /// How the matrices of a converted folder are packed; `None` when they are not.
    pub(super) fn packed_kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| self.entries.keys().any(|name| name.ends_with(&packed_name("", *kind))))
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> usize {
        self.maps.iter().map(|(_, map)| map.len()).sum()
    }

    /// Where the tensor `name` lies, and in which file; `None` when there is none.
    pub(super) fn raw(&self, name: &str) -> Option<(&Entry, &Arc<Mapped>)> {
        let entry = self.entries.get(name)?;
        Some((entry, &self.maps[entry.map].1))
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

    /// Bytes and type of the float tensor `name`, which must have `shape`.
    fn floats(&self, name: &str, shape: &[usize]) -> Result<(&[u8], DType), ModelError> {
        let entry = self.entry(name)?;
        let (path, map) = &self.maps[entry.map];
        let wrong = |what: String| ModelError::File { file: path.clone(), what };
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
        Ok((&map[entry.start..entry.end], stored))
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

/// Little-endian values of `stored` type as f32.
fn widen(bytes: &[u8], stored: DType, out: &mut [f32]) {
    match stored {
        DType::F32 => {
            for (out, b) in out.iter_mut().zip(bytes.chunks_exact(4)) {
                *out = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            }
        }
        DType::BF16 => {
            for (out, b) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                *out = half::bf16::from_le_bytes([b[0], b[1]]).to_f32();
            }
        }
        _ => {
            for (out, b) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                *out = half::f16::from_le_bytes([b[0], b[1]]).to_f32();
            }
        }
    }
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
