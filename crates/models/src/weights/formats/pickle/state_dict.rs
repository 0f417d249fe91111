//! Which dict of a pickle holds the model's tensors, and where each lies in the file.

use std::collections::HashMap;
use std::ops::Range;

use candle_core::DType;

use super::super::store::unwrapped_name;
use super::error::{ReadError, check_limit, malformed};
use super::value::{Heap, Object, Storage, TENSORS, TensorInfo, Value};

/// Keys under which training programs keep the model's tensors. The first that holds tensors counts.
const KEYS: [&str; 4] = ["model", "state_dict", "module", "weights"];
/// Longest name of a tensor in bytes.
const NAME_BYTES: usize = 1024;

/// A tensor of the file.
#[derive(Debug)]
pub(super) struct TensorPlace {
    /// Outermost axis first; empty if it is not known.
    pub(super) shape: Vec<usize>,
    /// Type and bytes in the file. For a tensor that is not read: why.
    pub(super) place: Result<(DType, Range<usize>), String>,
}

/// The tensors of the state dict of the pickled object `root`: the dict under the first of [`KEYS`] that holds tensors,
/// or `root` itself. Values that are no tensors are passed over. `locate` gives the bytes of a storage in the file.
pub(super) fn tensors<'a>(
    heap: &Heap<'a>,
    root: Value<'a>,
    mut locate: impl FnMut(&Storage<'a>) -> Result<Range<usize>, ReadError>,
) -> Result<HashMap<String, TensorPlace>, ReadError> {
    let Some(dict) = find(heap, root) else {
        let keys = KEYS.join(", ");
        return malformed(format!("no dict of tensors, neither the saved object nor what it has under {keys}"));
    };
    let mut all = HashMap::new();
    for (key, value) in dict {
        let (Value::Text(name), Some(object), true) = (key, heap.get(*value), heap.is_tensor(*value)) else { continue };
        check_limit("bytes of a tensor's name", name.len(), NAME_BYTES)?;
        let entry = match object {
            Object::Tensor(tensor) => entry(name, tensor, &mut locate)?,
            Object::UnreadTensor(function) => TensorPlace {
                shape: Vec::new(),
                place: Err(format!("is made by torch._utils.{function}, which is not read")),
            },
            _ => continue,
        };
        if all.insert(unwrapped_name(name), entry).is_some() {
            return malformed(format!("tensor {name} is there twice"));
        }
        // A dict may name one tensor again and again.
        check_limit("tensors of a PyTorch file", all.len(), TENSORS)?;
    }
    Ok(all)
}

/// The pairs of the state dict.
fn find<'h, 'a>(heap: &'h Heap<'a>, root: Value<'a>) -> Option<&'h [(Value<'a>, Value<'a>)]> {
    let holds_tensors = |dict: &&[(Value<'a>, Value<'a>)]| dict.iter().any(|pair| heap.is_tensor(pair.1));
    let root = heap.dict(root)?;
    let under = |key: &&str| root.iter().find(|pair| matches!(pair.0, Value::Text(text) if text == *key));
    let inner = KEYS.iter().filter_map(under).filter_map(|pair| heap.dict(pair.1)).find(holds_tensors);
    inner.or(Some(root).filter(holds_tensors))
}

fn entry<'a>(
    name: &str,
    tensor: &TensorInfo<'a>,
    locate: impl FnOnce(&Storage<'a>) -> Result<Range<usize>, ReadError>,
) -> Result<TensorPlace, ReadError> {
    let (shape, storage) = (tensor.shape.clone(), &tensor.storage);
    let Some(dtype) = storage.element.dtype.filter(|_| tensor.dtype.is_none()) else {
        let stored = tensor.dtype.unwrap_or(storage.element.class);
        return Ok(TensorPlace { shape, place: Err(format!("is stored as {stored}; f32, f16 and bf16 are read")) });
    };
    let count = shape.iter().try_fold(1_usize, |count, axis| count.checked_mul(*axis));
    let last = count.and_then(|count| tensor.offset.checked_add(count)).filter(|last| *last <= storage.len);
    let bytes = storage.len.checked_mul(storage.element.size);
    if !is_contiguous(tensor) {
        let text = format!("is not contiguous (strides {:?}); call .contiguous() before torch.save", tensor.strides);
        return Ok(TensorPlace { shape, place: Err(text) });
    }
    let (Some(count), Some(_), Some(bytes)) = (count, last, bytes) else {
        let Storage { key, len, .. } = storage;
        let text = format!("tensor {name} of {shape:?} at element {} of storage {key}, which has {len}", tensor.offset);
        return malformed(text);
    };
    let found = locate(storage)?;
    if found.len() != bytes {
        let text = format!("storage {} of tensor {name} has {} bytes, not {bytes}", storage.key, found.len());
        return malformed(text);
    }
    let start = found.start + tensor.offset * storage.element.size;
    Ok(TensorPlace { shape, place: Ok((dtype, start..start + count * storage.element.size)) })
}

/// Whether the elements lie one after the other, the last axis fastest. The strides of axes of one index do not matter.
fn is_contiguous(tensor: &TensorInfo<'_>) -> bool {
    let mut expected = 1_usize;
    if tensor.shape.contains(&0) {
        return true;
    }
    tensor.shape.iter().zip(&tensor.strides).rev().all(|(axis, stride)| {
        let fits = *axis == 1 || *stride == expected;
        expected = expected.saturating_mul(*axis);
        fits
    })
}
