//! The classes and functions that a pickle may name, and what they stand for.
//!
//! Nothing is looked up, imported or called: a name stands for a few lines of `rebuild`. The list is taken from
//! PyTorch's own safe loader (`torch/_weights_only_unpickler.py`, `_get_allowed_globals`), and from what numpy's arrays
//! name. Every other name is refused.

use candle_core::DType;

use super::error::{ReadError, unsupported};

const REMEDY: &str = "a pickle that runs code is not read. If you trust the file, load it in Python and save its \
                      tensors with safetensors.torch.save_file";

/// A class or function that a pickle may name.
#[derive(Clone, Copy)]
pub(super) enum Global<'a> {
    /// `collections.OrderedDict`.
    Dict,
    /// `_rebuild_tensor`, `_rebuild_tensor_v2`: a view of a storage.
    Tensor,
    /// `_rebuild_tensor_v3`: a view of a storage of bytes, with its type.
    TypedTensor,
    /// `_rebuild_parameter`, `_rebuild_parameter_with_state`: a tensor that is learned.
    Parameter,
    /// `_rebuild_from_type_v2`: a function, a class, the function's arguments, attributes.
    FromType,
    /// Any other function that makes a tensor.
    UnreadTensor(&'a str),
    /// A class of storages.
    Storage(&'static Element),
    /// A dtype, such as `torch.float16`.
    Dtype(&'a str),
    /// numpy's `_reconstruct`: an array, which its state makes.
    Array,
    /// numpy's `_frombuffer`: an array of bytes, a type, a shape and an order (protocol 5).
    ArrayOfBytes,
    /// numpy's `dtype`: a type by its code, as in `f2`.
    ArrayType,
    /// Makes something whose contents no tensor depends on.
    Inert,
}

impl<'a> Global<'a> {
    /// What `module.name` stands for; `at` is the byte that asks for it.
    pub(super) fn of(module: &'a str, name: &'a str, at: usize) -> Result<Global<'a>, ReadError> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Global::Dict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::Tensor,
            ("torch._utils", "_rebuild_tensor_v3") => Global::TypedTensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Global::Parameter,
            ("torch._tensor", "_rebuild_from_type_v2") => Global::FromType,
            ("torch._utils", name) if name.starts_with("_rebuild_") => Global::UnreadTensor(name),
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Global::Array,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Global::ArrayOfBytes,
            ("numpy", "dtype") => Global::ArrayType,
            ("numpy", "ndarray") => Global::Inert,
            ("collections", "Counter")
            | ("torch", "Size" | "Tensor" | "device")
            | ("torch.nn.parameter", "Parameter")
            | ("torch.serialization", "_get_layout")
            | ("builtins" | "__builtin__", "set" | "bytearray" | "complex")
            | ("_codecs", "encode") => Global::Inert,
            ("torch", name) if is_dtype(name) => Global::Dtype(name),
            ("torch" | "torch.cuda" | "torch.storage", name) => match Element::of_class(name) {
                Some(element) => Global::Storage(element),
                None => return refused(module, name, at),
            },
            _ => return refused(module, name, at),
        })
    }
}

/// The type of a storage's elements.
pub(super) struct Element {
    /// PyTorch's class of storages of this type.
    pub(super) class: &'static str,
    /// Bytes of an element.
    pub(super) size: usize,
    /// `None` for types that are listed, not read.
    pub(super) dtype: Option<DType>,
}

const fn element(class: &'static str, size: usize, dtype: Option<DType>) -> Element {
    Element { class, size, dtype }
}

static ELEMENTS: [Element; 18] = [
    element("FloatStorage", 4, Some(DType::F32)),
    element("HalfStorage", 2, Some(DType::F16)),
    element("BFloat16Storage", 2, Some(DType::BF16)),
    element("DoubleStorage", 8, None),
    element("LongStorage", 8, None),
    element("IntStorage", 4, None),
    element("ShortStorage", 2, None),
    element("CharStorage", 1, None),
    element("ByteStorage", 1, None),
    element("BoolStorage", 1, None),
    element("ComplexFloatStorage", 8, None),
    element("ComplexDoubleStorage", 16, None),
    element("QInt8Storage", 1, None),
    element("QUInt8Storage", 1, None),
    element("QInt32Storage", 4, None),
    element("QUInt4x2Storage", 1, None),
    element("QUInt2x4Storage", 1, None),
    // Bytes of any type; the tensor names the type.
    element("UntypedStorage", 1, None),
];

impl Element {
    /// The elements of storages of PyTorch's class `class`.
    pub(super) fn of_class(class: &str) -> Option<&'static Element> {
        ELEMENTS.iter().find(|element| element.class == class)
    }
}

/// Whether `name` is that of a dtype: `bool`, or a kind and a width, as in `float8_e4m3fn`.
fn is_dtype(name: &str) -> bool {
    let width = |kind| name.strip_prefix(kind).is_some_and(|rest: &str| rest.starts_with(|c: char| c.is_ascii_digit()));
    name == "bool" || ["float", "bfloat", "int", "uint", "complex", "qint", "quint", "bits"].into_iter().any(width)
}

fn refused<T>(module: &str, name: &str, at: usize) -> Result<T, ReadError> {
    let (module, name) = (module.escape_debug(), name.escape_debug());
    unsupported(format!("asks for {module}.{name} at byte {at}; {REMEDY}"))
}
