//! A pickled dict of numpy arrays and texts, as `pickle.dump` of protocols 2 to 5 writes it: which are there, and where
//! their bytes lie.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::DType;
use zoetrope_system::mmap::MappedFile;

use super::super::file_bytes::FileBytes;
use super::error::{ReadError, malformed, unsupported};
use super::unpickler::unpickle;
use super::value::{ArrayInfo, Object, Value};
use crate::error::ModelError;

/// A mapped pickle of one dict whose values are arrays or texts. Nothing in it is executed, imported or looked up.
pub struct PickledArrays {
    path: PathBuf,
    bytes: FileBytes,
    values: HashMap<String, Entry>,
}

/// A value of the dict.
#[derive(Debug, PartialEq)]
pub(super) enum Entry {
    /// Type, shape and bytes of an array.
    Array(DType, Vec<usize>, Range<usize>),
    /// Bytes of a text.
    Text(Range<usize>),
    /// Something else, or an array of a type that is not read: why.
    Unread(String),
}

/// A pickle is one byte 0x80 and the number of its protocol, from 2 on.
const FIRST: u8 = super::opcode::PROTO;

impl PickledArrays {
    /// Maps the file at `path` and lists its values. No array's bytes are read.
    ///
    /// # Errors
    /// [`ModelError::File`] if the file cannot be read, is cut off or contradicts itself, or is no pickled dict;
    /// [`ModelError::Unsupported`] if it names a function that is not one of numpy's arrays or PyTorch's tensors (the
    /// text says which); [`ModelError::Limit`] if it has more instructions than is allowed.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let failed = |error: std::io::Error| ModelError::File { file: path.to_path_buf(), what: error.to_string() };
        let map = MappedFile::open(path).map_err(failed)?;
        let values = read(&map).map_err(|error| error.of_file(path))?;
        Ok(PickledArrays { path: path.to_path_buf(), bytes: FileBytes::Mapped(Arc::new(map)), values })
    }

    /// Type, shape and little-endian bytes of the array `name`. The bytes are not aligned.
    ///
    /// # Errors
    /// [`ModelError::File`] if there is none, [`ModelError::Unsupported`] if it is of another type than f32, f16.
    pub fn array(&self, name: &str) -> Result<(DType, &[usize], &[u8]), ModelError> {
        match self.get(name)? {
            Entry::Array(dtype, shape, range) => Ok((*dtype, shape, &self.bytes[range.clone()])),
            Entry::Text(_) => Err(self.wrong(format!("{name:?} is a text, not an array"))),
            Entry::Unread(why) => Err(ModelError::Unsupported(format!("{}: {name:?} {why}", self.path.display()))),
        }
    }

    /// The text `name`.
    ///
    /// # Errors
    /// [`ModelError::File`] if there is none.
    pub fn text(&self, name: &str) -> Result<&str, ModelError> {
        let Entry::Text(range) = self.get(name)? else {
            return Err(self.wrong(format!("{name:?} is no text")));
        };
        std::str::from_utf8(&self.bytes[range.clone()]).map_err(|error| self.wrong(format!("{name:?}: {error}")))
    }

    /// Gives the pages of `bytes` of the array `name` back to the system.
    pub fn release(&self, name: &str, bytes: Range<usize>) {
        if let Some(Entry::Array(_, _, range)) = self.values.get(name) {
            let at = |byte: usize| (range.start + byte).min(range.end);
            self.bytes.release(at(bytes.start)..at(bytes.end));
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn get(&self, name: &str) -> Result<&Entry, ModelError> {
        let missing = || {
            let mut names: Vec<&str> = self.values.keys().map(String::as_str).take(8).collect();
            names.sort_unstable();
            self.wrong(format!("the dict has no {name:?}; it has {names:?}"))
        };
        self.values.get(name).ok_or_else(missing)
    }

    fn wrong(&self, what: String) -> ModelError {
        ModelError::File { file: self.path.clone(), what }
    }
}

/// The values of the pickled dict `file`.
pub(super) fn read(file: &[u8]) -> Result<HashMap<String, Entry>, ReadError> {
    if file.first() != Some(&FIRST) {
        return malformed("not a pickle of protocol 2 or later".to_string());
    }
    let pickle = unpickle(file, 0)?;
    let Some(dict) = pickle.heap.dict(pickle.root) else {
        return malformed("the pickled object is no dict".to_string());
    };
    let mut values = HashMap::new();
    for (key, value) in dict {
        let Value::Text(key) = key else { continue };
        let entry = match (value, pickle.heap.get(*value)) {
            // A dict may name one text again and again: it is not copied.
            (Value::Text(text), _) => {
                let start = text.as_ptr() as usize - file.as_ptr() as usize;
                Entry::Text(start..start + text.len())
            }
            (_, Some(Object::Array(Some(array)))) => entry(key, array)?,
            (_, Some(Object::Tensor(_) | Object::UnreadTensor(_))) => {
                Entry::Unread("is a PyTorch tensor; save its .numpy()".to_string())
            }
            _ => Entry::Unread("is neither an array nor a text".to_string()),
        };
        values.insert(key.to_string(), entry);
    }
    Ok(values)
}

fn entry(name: &str, array: &ArrayInfo<'_>) -> Result<Entry, ReadError> {
    let dtype = match (array.of.code, array.of.order) {
        ("f2", Some("<")) => DType::F16,
        ("f4", Some("<")) => DType::F32,
        (_, Some(">")) => return unsupported(format!("array {name:?} is big-endian")),
        (code, _) => {
            let text = format!("is an array of {}; f2 and f4 are read", code.escape_debug());
            return Ok(Entry::Unread(text));
        }
    };
    let count = array.shape.iter().try_fold(1_usize, |count, axis| count.checked_mul(*axis));
    if count.and_then(|count| count.checked_mul(dtype.size_in_bytes())) != Some(array.bytes.len) {
        let text = format!("array {name:?} of shape {:?} has {} bytes", array.shape, array.bytes.len);
        return malformed(text);
    }
    Ok(Entry::Array(dtype, array.shape.clone(), array.bytes.start..array.bytes.start + array.bytes.len))
}
