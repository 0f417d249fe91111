//! The format of `torch.save` before PyTorch 1.6, still written with `_use_new_zipfile_serialization=False`: five
//! pickles one after the other (magic number, version, the writer's byte order, the object, the keys of its storages),
//! then each storage: its number of elements as u64 and the elements.
//!
//! Reference: `torch/serialization.py`, `_legacy_save` and `_legacy_load`.

use std::collections::HashMap;
use std::ops::Range;

use super::super::cursor::Cursor;
use super::super::error::{ReadError, malformed, unsupported};
use super::super::state_dict::{TensorPlace, tensors};
use super::super::unpickler::unpickle;
use super::super::value::{Heap, Object, Storage, Value};

/// The magic number 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const VERSION: i64 = 1001;
/// The instruction that each pickle of protocol 2 and later begins with.
const PICKLE: u8 = super::super::opcode::PROTO;

/// The tensors of `file`, which is no zip file.
pub(super) fn read(file: &[u8]) -> Result<HashMap<String, TensorPlace>, ReadError> {
    if file.get(257..262) == Some(b"ustar") {
        let text = "the tar format of PyTorch before 0.1.10 is not read; load it and save it again with torch.save";
        return unsupported(text.to_string());
    }
    if file.first() != Some(&PICKLE) {
        return malformed("not a file of torch.save: neither a zip file nor a pickle".to_string());
    }
    let magic = unpickle(file, 0)?;
    if !matches!(magic.root, Value::LongInt(number) if number == MAGIC) {
        return malformed("a pickle, but not one of torch.save: no magic number".to_string());
    }
    let version = unpickle(file, magic.end)?;
    if !matches!(version.root, Value::Int(VERSION)) {
        return unsupported(format!("another version of the legacy format than {VERSION}"));
    }
    let system = unpickle(file, version.end)?;
    if !is_little_endian(&system.heap, system.root) {
        return unsupported("the legacy format of a machine that is not little-endian".to_string());
    }
    let pickle = unpickle(file, system.end)?;
    let keys = unpickle(file, pickle.end)?;
    let Some(Object::List(list)) = keys.heap.get(keys.root) else {
        return malformed(format!("the pickle at byte {} is no list of storages", pickle.end));
    };
    let places = places(file, keys.end, list, &pickle.heap)?;
    tensors(&pickle.heap, pickle.root, |storage| match places.get(storage.key) {
        Some(range) => Ok(range.clone()),
        None => malformed(format!("storage {} is missing", storage.key)),
    })
}

fn is_little_endian<'a>(heap: &Heap<'a>, system: Value<'a>) -> bool {
    let facts = heap.dict(system).unwrap_or_default();
    facts.iter().any(|fact| matches!(fact, (Value::Text("little_endian"), Value::Bool(true))))
}

/// The bytes of each storage of `keys`, which lie one after the other from byte `start`.
fn places<'a>(
    file: &[u8],
    start: usize,
    keys: &[Value<'a>],
    heap: &Heap<'_>,
) -> Result<HashMap<&'a str, Range<usize>>, ReadError> {
    let storages: HashMap<&str, &Storage<'_>> = heap.storages().map(|storage| (storage.key, storage)).collect();
    let mut cursor = Cursor::new(file, start);
    let mut places = HashMap::with_capacity(keys.len());
    for key in keys {
        let Value::Text(key) = key else {
            return malformed("a storage whose key is not text".to_string());
        };
        let Some(storage) = storages.get(key) else {
            return malformed(format!("storage {key} belongs to no tensor"));
        };
        let len = cursor.u64()?;
        if usize::try_from(len) != Ok(storage.len) {
            return malformed(format!("storage {key} has {len} elements, its tensors say {}", storage.len));
        }
        let at = cursor.at;
        cursor.take(storage.len.saturating_mul(storage.element.size))?;
        places.insert(*key, at..cursor.at);
    }
    Ok(places)
}
