//! What keys and values are kept as.

use candle_core::DType;

/// How a [`KvCache`](super::KvCache) keeps keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvDtype {
    /// As floats of this type.
    Float(DType),
    /// As int8 with an f32 scale for each position and head; keys also have a scale for each channel. CPU only, no
    /// gradients.
    Int8,
}

impl KvDtype {
    /// Its name: "f32", "bf16", "int8".
    pub fn name(self) -> &'static str {
        match self {
            KvDtype::Float(dtype) => dtype.as_str(),
            KvDtype::Int8 => "int8",
        }
    }

    /// Bytes of the key or value of one position and head, `width` numbers.
    pub fn bytes(self, width: usize) -> usize {
        match self {
            KvDtype::Float(dtype) => width * dtype.size_in_bytes(),
            KvDtype::Int8 => width + size_of::<f32>(),
        }
    }
}

impl From<DType> for KvDtype {
    fn from(dtype: DType) -> Self {
        KvDtype::Float(dtype)
    }
}
