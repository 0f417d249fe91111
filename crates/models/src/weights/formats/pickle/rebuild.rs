//! What PyTorch's functions that rebuild tensors mean, from `torch/_utils.py`, and its persistent ids of storages.

use super::error::{ReadError, malformed, unsupported};
use super::globals::Global;
use super::value::{Heap, Object, Storage, TensorInfo, Value};

/// Most axes of a tensor.
const AXES: usize = 8;

/// What the pickle's call of `function` with the tuple `args` gives; `at` is the byte that asks for it.
pub(super) fn call<'a>(
    function: Global<'a>,
    args: Value<'a>,
    heap: &mut Heap<'a>,
    at: usize,
) -> Result<Value<'a>, ReadError> {
    let Some(args) = heap.tuple(args) else {
        return malformed(format!("a call at byte {at} without a tuple of arguments"));
    };
    match (function, args) {
        (Global::Dict, []) => Ok(heap.add(Object::Dict(Vec::new()))),
        (Global::Dict, _) => {
            unsupported(format!("an OrderedDict made from a list at byte {at}, as Python 2 writes it"))
        }
        (Global::Tensor, [storage, offset, shape, strides, ..]) => {
            let tensor = tensor([*storage, *offset, *shape, *strides], heap, at)?;
            heap.add_tensor(tensor)
        }
        (Global::TypedTensor, [storage, offset, shape, strides, _, _, Value::Global(Global::Dtype(dtype)), ..]) => {
            let dtype = Some(*dtype);
            let tensor = tensor([*storage, *offset, *shape, *strides], heap, at)?;
            heap.add_tensor(TensorInfo { dtype, ..tensor })
        }
        (Global::Parameter, [data, ..]) if heap.is_tensor(*data) => Ok(*data),
        // The inner function makes a tensor from its arguments alone, so calls do not nest further.
        (Global::FromType, [Value::Global(inner), _, args, ..]) if !matches!(inner, Global::FromType) => {
            call(*inner, *args, heap, at)
        }
        (Global::UnreadTensor(function), _) => Ok(heap.add(Object::UnreadTensor(function))),
        (Global::Inert, _) => Ok(Value::Opaque),
        (Global::Storage(element), _) => {
            unsupported(format!("a storage of its own at byte {at} ({}); only tensors are read", element.class))
        }
        _ => malformed(format!("a call at byte {at} with arguments that do not fit the function")),
    }
}

/// The storage with the persistent id `id`, a tuple: "storage", class, key, device, number of elements, and in old
/// files the view (None, or a view of another storage).
pub(super) fn storage<'a>(id: Value<'a>, heap: &Heap<'a>, at: usize) -> Result<Storage<'a>, ReadError> {
    match heap.tuple(id) {
        Some(
            [Value::Text("storage"), Value::Global(Global::Storage(element)), Value::Text(key), _, len, rest @ ..],
        ) => {
            if let [Value::Object(_), ..] = rest {
                return unsupported(format!("storage {key} at byte {at} is a view of another storage"));
            }
            Ok(Storage { key, element, len: size(*len, "the length of a storage", at)? })
        }
        _ => unsupported(format!("a persistent id at byte {at} that is not of a storage; only tensors are read")),
    }
}

fn tensor<'a>(args: [Value<'a>; 4], heap: &Heap<'a>, at: usize) -> Result<TensorInfo<'a>, ReadError> {
    let [storage, offset, shape, strides] = args;
    let Some(Object::Storage(storage)) = heap.get(storage) else {
        return malformed(format!("a tensor at byte {at} without a storage"));
    };
    let offset = size(offset, "the offset of a tensor", at)?;
    let (shape, strides) = (sizes(shape, heap, at)?, sizes(strides, heap, at)?);
    if shape.len() != strides.len() {
        return malformed(format!("a tensor at byte {at} of shape {shape:?} with strides {strides:?}"));
    }
    Ok(TensorInfo { storage: *storage, dtype: None, offset, shape, strides })
}

/// A tuple of sizes, at most [`AXES`].
fn sizes<'a>(value: Value<'a>, heap: &Heap<'a>, at: usize) -> Result<Vec<usize>, ReadError> {
    match heap.tuple(value) {
        Some(values) if values.len() <= AXES => values.iter().map(|value| size(*value, "an axis", at)).collect(),
        Some(values) => malformed(format!("a tensor at byte {at} of {} axes, at most {AXES}", values.len())),
        None => malformed(format!("a tensor at byte {at} whose shape or strides are not a tuple")),
    }
}

fn size(value: Value<'_>, what: &str, at: usize) -> Result<usize, ReadError> {
    match value {
        Value::Int(number) => {
            usize::try_from(number).or_else(|_| malformed(format!("{what} of {number} at byte {at}")))
        }
        _ => malformed(format!("{what} at byte {at} is not an integer of 64 bits")),
    }
}
