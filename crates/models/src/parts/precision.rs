//! As what a model's matrices, keys and values are held.

use candle_core::DType;
use zoetrope_kernels::packed::Kind;

use super::cache::KvDtype;
use super::files::Files;

/// How a model holds its matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As a converted folder has them; else f32 for a small model and int8 for others.
    Auto,
    /// As tensors of this type, in which activations are computed too.
    Float(DType),
    /// Packed for the CPU's products; activations are f32.
    Packed(Kind),
}

/// Bytes of weight files below which [`Precision::Auto`] means f32: nothing is gained by less.
const SMALL: usize = 100 << 20;

impl Precision {
    /// What [`Precision::Auto`] means for these files.
    pub(super) fn settled(self, files: &Files) -> Precision {
        match (self, files.packed_kind()) {
            (Precision::Auto, Some(kind)) => Precision::Packed(kind),
            (Precision::Auto, None) if files.bytes() < SMALL => Precision::Float(DType::F32),
            (Precision::Auto, None) => Precision::Packed(Kind::Int8),
            (asked, _) => asked,
        }
    }

    /// The type of activations and of what is not packed, and as what matrices are packed.
    pub(super) fn parts(self) -> (DType, Option<Kind>) {
        match self {
            Precision::Float(dtype) => (dtype, None),
            Precision::Packed(kind) => (DType::F32, Some(kind)),
            Precision::Auto => (DType::F32, None),
        }
    }
}

/// In what attention computes its products beside matrices that are packed so: bf16 when that is smaller than f32.
pub(super) fn attention_beside(kind: Option<Kind>) -> Kind {
    if kind.is_some_and(|kind| kind != Kind::F32) { Kind::Bf16 } else { Kind::F32 }
}

/// How keys and values are held beside weights when nothing is asked for.
pub(super) fn kv_cache_beside(dtype: DType, kind: Option<Kind>) -> KvDtype {
    if attention_beside(kind) == Kind::Bf16 { DType::BF16.into() } else { dtype.into() }
}

impl From<DType> for Precision {
    fn from(dtype: DType) -> Self {
        Precision::Float(dtype)
    }
}

/// How a model holds its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dtypes {
    /// Its matrices.
    pub weights: Precision,
    /// Keys and values; `None` is what suits the weights: bf16 beside those packed smaller than f32, else their type.
    pub kv_cache: Option<KvDtype>,
}

impl From<Precision> for Dtypes {
    fn from(weights: Precision) -> Self {
        Dtypes { weights, kv_cache: None }
    }
}

impl From<DType> for Dtypes {
    fn from(dtype: DType) -> Self {
        Precision::from(dtype).into()
    }
}
