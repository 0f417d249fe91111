//! The zip format of `torch.save` (PyTorch 1.6 and later): one folder with a pickle and a record for each storage.
//!
//! Reference: `torch/serialization.py`, `_save`, and `caffe2/serialize/inline_container.cc`.

use std::collections::HashMap;

use super::super::error::{ReadError, malformed, unsupported};
use super::super::state_dict::{TensorPlace, tensors};
use super::super::unpickler::unpickle;
use super::super::zip::Directory;

/// The tensors of `file`, a zip file.
pub(super) fn read(file: &[u8]) -> Result<HashMap<String, TensorPlace>, ReadError> {
    let directory = Directory::read(file)?;
    let folder = folder(&directory)?;
    let record = |name: &str| match directory.data(&format!("{folder}/{name}"))? {
        Some(range) => Ok(range),
        None => malformed(format!("record {folder}/{name} is missing")),
    };
    // Files of PyTorch before 2.1 have no such record; they are little-endian.
    if let Some(order) = directory.data(&format!("{folder}/byteorder"))? {
        match &file[order] {
            b"little" => {}
            order => return unsupported(format!("byte order {}; only little is read", order.escape_ascii())),
        }
    }
    let data = record("data.pkl")?;
    let pickle = unpickle(&file[..data.end], data.start)?;
    tensors(&pickle.heap, pickle.root, |storage| record(&format!("data/{}", storage.key)))
}

/// The one folder that all records are in.
fn folder<'a>(directory: &Directory<'a>) -> Result<&'a str, ReadError> {
    let of_pickle = |name: &'a [u8]| std::str::from_utf8(name.strip_suffix(b"/data.pkl")?).ok();
    let mut found: Vec<&str> = directory.names().filter_map(of_pickle).collect();
    match (found.pop(), found.is_empty()) {
        (Some(folder), true) => Ok(folder),
        (Some(_), false) => malformed("a zip file with several records data.pkl".to_string()),
        (None, _) => malformed("a zip file without data.pkl, not one of torch.save".to_string()),
    }
}
