//! What a pickle makes: values, and the objects that they point at.

use super::error::{ReadError, check_limit};
use super::globals::{Element, Global};

/// A value on the stack, in the memo or in an object. Small and copied; whatever has a size is an [`Object`], so
/// that a pickle which repeats or nests values costs no more memory than its instructions.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Int(i64),
    Bool(bool),
    Text(&'a str),
    /// Bytes of the file.
    Bytes(ByteRange),
    /// An integer of more than 64 bits: its bytes, little-endian.
    LongInt(&'a [u8]),
    /// A class or function, only named.
    Global(Global<'a>),
    Object(ObjectId),
    /// Anything whose contents no tensor depends on.
    Opaque,
}

/// Index into a [`Heap`].
#[derive(Clone, Copy)]
pub(super) struct ObjectId(u32);

/// Bytes of the file.
#[derive(Clone, Copy)]
pub(super) struct ByteRange {
    /// The first one.
    pub(super) start: usize,
    /// How many.
    pub(super) len: usize,
}

/// What a [`Value::Object`] points at.
pub(super) enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(Box<TensorInfo<'a>>),
    /// A tensor made by this function, which is not one of those that are read (sparse, quantized, and so on).
    UnreadTensor(&'a str),
    /// A numpy array; `None` until its state is read.
    Array(Option<ArrayInfo<'a>>),
    /// A numpy type.
    ArrayType(ArrayType<'a>),
}

/// A numpy array in the order of C.
#[derive(Clone)]
pub(super) struct ArrayInfo<'a> {
    pub(super) shape: Vec<usize>,
    pub(super) of: ArrayType<'a>,
    pub(super) bytes: ByteRange,
}

/// A numpy type: its code, as in `f2`, and the order of bytes, `<` for little-endian.
#[derive(Clone, Copy)]
pub(super) struct ArrayType<'a> {
    pub(super) code: &'a str,
    pub(super) order: Option<&'a str>,
}

/// A flat array that tensors are views of. Several tensors may share one.
#[derive(Clone, Copy)]
pub(super) struct Storage<'a> {
    /// Its name in the file.
    pub(super) key: &'a str,
    pub(super) element: &'static Element,
    /// Number of elements.
    pub(super) len: usize,
}

/// A dense tensor: a view of a storage.
pub(super) struct TensorInfo<'a> {
    pub(super) storage: Storage<'a>,
    /// Its type if the storage is one of bytes, the storage's type otherwise.
    pub(super) dtype: Option<&'a str>,
    /// First element in the storage.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// Elements of the storage from one index of an axis to the next, as many as axes.
    pub(super) strides: Vec<usize>,
}

/// Most tensors of a pickle, with those of an optimizer.
pub(super) const TENSORS: usize = 1 << 18;

/// All objects of a pickle.
#[derive(Default)]
pub(super) struct Heap<'a> {
    objects: Vec<Object<'a>>,
    tensors: usize,
}

impl<'a> Heap<'a> {
    /// Adds an object.
    pub(super) fn add(&mut self, object: Object<'a>) -> Value<'a> {
        // The limit of instructions keeps the number of objects far below 2^32.
        let id = ObjectId(self.objects.len() as u32);
        self.objects.push(object);
        Value::Object(id)
    }

    /// Adds a tensor, at most [`TENSORS`].
    pub(super) fn add_tensor(&mut self, tensor: TensorInfo<'a>) -> Result<Value<'a>, ReadError> {
        self.tensors += 1;
        check_limit("tensors of a PyTorch file", self.tensors, TENSORS)?;
        Ok(self.add(Object::Tensor(Box::new(tensor))))
    }

    /// The object that `value` points at, if it is one.
    pub(super) fn get(&self, value: Value<'a>) -> Option<&Object<'a>> {
        let Value::Object(ObjectId(id)) = value else { return None };
        self.objects.get(id as usize)
    }

    /// The object that `value` points at, to be changed.
    pub(super) fn get_mut(&mut self, value: Value<'a>) -> Option<&mut Object<'a>> {
        let Value::Object(ObjectId(id)) = value else { return None };
        self.objects.get_mut(id as usize)
    }

    /// Puts `object` in the place of the one that `value` points at.
    pub(super) fn set(&mut self, value: Value<'a>, object: Object<'a>) {
        if let Some(place) = self.get_mut(value) {
            *place = object;
        }
    }

    /// The elements of a tuple.
    pub(super) fn tuple(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match self.get(value)? {
            Object::Tuple(values) => Some(values),
            _ => None,
        }
    }

    /// The pairs of a dict, in the order in which they were set.
    pub(super) fn dict(&self, value: Value<'a>) -> Option<&[(Value<'a>, Value<'a>)]> {
        match self.get(value)? {
            Object::Dict(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// Whether `value` is a tensor, read or not.
    pub(super) fn is_tensor(&self, value: Value<'a>) -> bool {
        matches!(self.get(value), Some(Object::Tensor(_) | Object::UnreadTensor(_)))
    }

    /// All storages, in the order in which the pickle names them, some of them several times.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage<'a>> {
        self.objects.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(storage),
            _ => None,
        })
    }
}
