//! What PyTorch's functions that rebuild tensors mean, from `torch/_utils.py`, and its persistent ids of storages; and
//! numpy's that rebuild arrays, from `numpy/_core/src/multiarray/methods.c` (`__reduce__`, `__setstate__`).

use super::error::{ReadError, malformed, unsupported};
use super::globals::Global;
use super::value::{ArrayInfo, ArrayType, Heap, Object, Storage, TensorInfo, Value};

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
        (Global::Array, _) => Ok(heap.add(Object::Array(None))),
        (Global::ArrayType, [Value::Text(code), ..]) => {
            Ok(heap.add(Object::ArrayType(ArrayType { code, order: None })))
        }
        (Global::ArrayOfBytes, [bytes, of, shape, Value::Text("C")]) => {
            let array = array(*shape, *of, *bytes, heap, at)?;
            Ok(heap.add(Object::Array(Some(array))))
        }
        (Global::ArrayOfBytes, [.., Value::Text(_)]) => fortran(at),
        (Global::Storage(element), _) => {
            unsupported(format!("a storage of its own at byte {at} ({}); only tensors are read", element.class))
        }
        _ => malformed(format!("a call at byte {at} with arguments that do not fit the function")),
    }
}

/// Gives `state` to `object`. Of numpy's arrays and types it says what they are; attributes of other objects, such as
/// the `_metadata` of a state dict, are not needed.
pub(super) fn build<'a>(object: Value<'a>, state: Value<'a>, heap: &mut Heap<'a>, at: usize) -> Result<(), ReadError> {
    let made = match (heap.get(object), heap.tuple(state)) {
        // A version, shape, type, whether it is in the order of Fortran, bytes.
        (Some(Object::Array(_)), Some([_, shape, of, Value::Bool(false), bytes])) => {
            Object::Array(Some(array(*shape, *of, *bytes, heap, at)?))
        }
        (Some(Object::Array(_)), Some([_, _, _, Value::Bool(true), _])) => return fortran(at),
        (Some(Object::Array(_)), _) => {
            return malformed(format!("an array at byte {at} without shape, type and bytes"));
        }
        // A version, the order of bytes, and what only types of several fields have.
        (Some(Object::ArrayType(of)), Some([_, Value::Text(order), ..])) => {
            Object::ArrayType(ArrayType { order: Some(order), ..*of })
        }
        _ => return Ok(()),
    };
    heap.set(object, made);
    Ok(())
}

fn fortran<T>(at: usize) -> Result<T, ReadError> {
    unsupported(format!("an array in Fortran's order at byte {at}; save numpy.ascontiguousarray of it"))
}

fn array<'a>(
    shape: Value<'a>,
    of: Value<'a>,
    bytes: Value<'a>,
    heap: &Heap<'a>,
    at: usize,
) -> Result<ArrayInfo<'a>, ReadError> {
    match (heap.get(of), bytes) {
        (Some(Object::ArrayType(of)), Value::Bytes(bytes)) => {
            Ok(ArrayInfo { shape: sizes(shape, heap, at)?, of: *of, bytes })
        }
        _ => malformed(format!("an array at byte {at} without a type or without bytes")),
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
        Some(values) => malformed(format!("a tensor or array at byte {at} of {} axes, at most {AXES}", values.len())),
        None => malformed(format!("a tensor or array at byte {at} whose shape or strides are not a tuple")),
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
