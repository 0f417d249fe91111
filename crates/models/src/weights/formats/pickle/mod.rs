//! Files of `torch.save` (`pytorch_model.bin`, `.pth`, `.pt`): which tensors are there, of which type and shape, and
//! where. Nothing is executed, imported or looked up.
//!
//! Both formats are read, zip and legacy, with pickles of protocols 2 to 5. Only the list is read here; the tensors
//! stay in the mapped file. A tensor is read if it is dense, contiguous and f32, f16 or bf16. Others are listed, and
//! refused when they are asked for. Tensors may share a storage. A state dict may lie inside another dict, as training
//! programs keep it (see `state_dict`).
//!
//! `candle_core::pickle` is not used because it trusts its file. It allocates the length of a text before it reads it
//! (up to 4 GB), copies values from the memo (100 bytes can ask for any amount of memory), panics on short tuples,
//! misreads long integers, knows no protocol 4 and prints to stderr.
//!
//! Pickles of numpy arrays (`pickle.dump`) are read by the same machine (`arrays`).
//!
//! Deliberately absent: calls, classes, attributes, Python 2's ordered dicts, TorchScript, big-endian files, several
//! files of one checkpoint (their index is read elsewhere).

mod arrays;
mod containers;
mod cursor;
mod error;
mod globals;
mod opcode;
mod rebuild;
mod state_dict;
#[cfg(test)]
mod tests;
mod unpickler;
mod value;
mod zip;

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::DType;
use zoetrope_system::mmap::MappedFile;

pub use self::arrays::PickledArrays;
use self::state_dict::TensorPlace;
use super::encoding::Encoding;
use super::file_bytes::FileBytes;
use super::row_source::{Segment, SegmentValues};
use super::shape::matrix_dims;
use crate::error::ModelError;

/// A mapped file of `torch.save`.
pub struct PickleFile {
    path: PathBuf,
    bytes: FileBytes,
    tensors: HashMap<String, TensorPlace>,
}

impl PickleFile {
    /// Maps the file at `path` and lists its tensors. No tensor's bytes are read.
    ///
    /// Every size is checked against the file before memory is taken. A file that is made to reach the limits takes at
    /// most about half a gigabyte.
    ///
    /// # Errors
    /// [`ModelError::File`] if the file cannot be read, is cut off or contradicts itself, or holds no dict of tensors;
    /// [`ModelError::Unsupported`] if it names a function that is not one of PyTorch's tensors (the text says which),
    /// is compressed, encrypted or big-endian; [`ModelError::Limit`] if it has more records, instructions or tensors
    /// than is allowed.
    pub fn open(path: &Path) -> Result<PickleFile, ModelError> {
        let failed = |error: std::io::Error| ModelError::File { file: path.to_path_buf(), what: error.to_string() };
        let map = MappedFile::open(path).map_err(failed)?;
        let tensors = containers::read(&map).map_err(|error| error.of_file(path))?;
        Ok(PickleFile { path: path.to_path_buf(), bytes: FileBytes::Mapped(Arc::new(map)), tensors })
    }

    /// The names of all tensors, also of those that are not read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor `name`.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of the tensor `name`; empty for scalars and for tensors of unknown shape (sparse, quantized).
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Type and little-endian bytes of the tensor `name`, which must have `shape`. The bytes are not aligned.
    ///
    /// # Errors
    /// [`ModelError::File`] if there is no such tensor or it has another shape; [`ModelError::Unsupported`] if it is
    /// one of those that are listed only.
    pub fn float(&self, name: &str, shape: &[usize]) -> Result<(DType, &[u8]), ModelError> {
        let (dtype, bytes) = self.place(name, shape)?;
        Ok((dtype, &self.bytes[bytes]))
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The rows of the tensor `name`, which must have `shape`.
    pub(super) fn rows(&self, name: &str, shape: &[usize]) -> Result<Segment, ModelError> {
        let (dtype, bytes) = self.place(name, shape)?;
        let values = SegmentValues::File { file: self.bytes.clone(), bytes, encoding: Encoding::Float(dtype) };
        Ok(Segment { rows: matrix_dims(shape).0, values })
    }

    fn place(&self, name: &str, shape: &[usize]) -> Result<(DType, Range<usize>), ModelError> {
        let wrong = |what: String| ModelError::File { file: self.path.clone(), what };
        let entry = self.tensors.get(name).ok_or_else(|| wrong(format!("tensor {name} is missing")))?;
        let (dtype, bytes) = entry
            .place
            .as_ref()
            .map_err(|why| ModelError::Unsupported(format!("{}: tensor {name} {why}", self.path.display())))?;
        if entry.shape != shape {
            let text = format!("tensor {name} has shape {:?}, the configuration says {shape:?}", entry.shape);
            return Err(wrong(text));
        }
        Ok((*dtype, bytes.clone()))
    }
}
