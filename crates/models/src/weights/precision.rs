//! What matrices are held as, and what follows from it for attention and the KV cache.

use candle_core::{DType, Device};
use zoetrope_kernels::gemm::WeightType;

use crate::error::{ModelError, ModelResult};
use crate::kv::KvDtype;
use crate::ops::kernels_serve;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// On a CPU what a converted folder has, else f32 for a small model and int8 for others; elsewhere bf16.
    Auto,
    /// Floats of this type, in which activations are computed, too.
    Float(DType),
    /// Packed for the CPU's products; activations are f32.
    Packed(WeightType),
}

impl From<DType> for Precision {
    fn from(dtype: DType) -> Self {
        Precision::Float(dtype)
    }
}

/// Bytes of weight files below which [`Precision::Auto`] means f32: less gains nothing.
const SMALL: usize = 100 << 20;

/// What the archives are, as far as it decides.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ArchiveFacts {
    /// Bytes of all files.
    pub(crate) bytes: usize,
    /// How a converted folder is packed.
    pub(crate) packed: Option<WeightType>,
}

/// What a group's weights are held as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldAs {
    /// The type of activations and of what is not packed.
    pub dtype: DType,
    /// What matrices are packed as, all but those that four bits would spoil.
    pub packed: Option<WeightType>,
    /// Whether f32 matrices are learned by products in bf16 (mixed precision with f32 master weights).
    pub master: bool,
}

/// How files hold a matrix, as far as it decides what the matrix is packed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredAs {
    /// As floats, as numbers of four bits or fewer on another grid, or as something that is computed.
    Values,
    /// On the grid of int4, so that packing rounds nothing (`Q4_K` of GGUF).
    Int4Grid,
    /// As integers of more than four bits.
    MoreBits,
}

/// What a matrix is packed as in a model of `weight_type`: where most have four bits, those that four bits spoil have
/// eight (docs/benchmarks.md, accuracy of packed weights). A file that was quantized before has decided which these
/// are: what it has on the grid of int4 stays there, and what it has more bits for gets eight.
pub(crate) fn type_of_matrix(weight_type: WeightType, sensitive: bool, stored: StoredAs) -> WeightType {
    match (weight_type, stored) {
        (WeightType::Int4, StoredAs::MoreBits) => WeightType::Int8,
        (WeightType::Int4, StoredAs::Values) if sensitive => WeightType::Int8,
        (other, _) => other,
    }
}

impl HeldAs {
    /// The word of reports: "f32", "int8".
    pub fn name(self) -> &'static str {
        self.packed.map_or(self.dtype.as_str(), WeightType::name)
    }

    /// What attention computes in: bf16 beside matrices that are packed smaller than f32, else f32.
    pub fn attention_compute(self) -> WeightType {
        match self.packed {
            None | Some(WeightType::F32) => WeightType::F32,
            Some(_) => WeightType::Bf16,
        }
    }

    /// What the KV cache keeps when nothing is asked for.
    pub fn default_kv_dtype(self) -> KvDtype {
        match self.attention_compute() {
            WeightType::Bf16 => DType::BF16.into(),
            _ => self.dtype.into(),
        }
    }
}

impl Precision {
    /// What this means for some archives on `device`. Weights that are learned stay float tensors; bf16 is the type of
    /// their products then.
    ///
    /// # Errors
    /// When packed weights meet another device than the CPU, or are to be learned.
    pub(crate) fn resolve(self, facts: ArchiveFacts, device: &Device, learned: bool) -> ModelResult<HeldAs> {
        let float = |dtype| Ok(HeldAs { dtype, packed: None, master: false });
        let packed = |weight_type| Ok(HeldAs { dtype: DType::F32, packed: Some(weight_type), master: false });
        let kernels = kernels_serve(device);
        let asked = match (self, facts.packed) {
            (Precision::Auto, Some(weight_type)) => Precision::Packed(weight_type),
            (Precision::Auto, None) if learned => Precision::Float(DType::F32),
            (Precision::Auto, None) if !device.is_cpu() => Precision::Float(DType::BF16),
            (Precision::Auto, None) if facts.bytes < SMALL || !kernels => Precision::Float(DType::F32),
            (Precision::Auto, None) => Precision::Packed(WeightType::Int8),
            (asked, _) => asked,
        };
        match asked {
            // Packed f32 multiplies with the same sums whatever the number of rows, and fuses.
            Precision::Float(DType::F32) if kernels && !learned => packed(WeightType::F32),
            Precision::Float(dtype) => float(dtype),
            Precision::Packed(WeightType::Bf16) if learned => {
                Ok(HeldAs { dtype: DType::F32, packed: None, master: true })
            }
            Precision::Packed(weight_type) if learned => Err(ModelError::Caller(format!(
                "weights packed as {} cannot be learned; learn an adapter beside them, or take f32 or bf16",
                weight_type.name()
            ))),
            Precision::Packed(weight_type) if !kernels => Err(ModelError::Unsupported(format!(
                "weights packed as {} on {:?}: they are multiplied on the CPU only; take floats, bf16 for example",
                weight_type.name(),
                device.location()
            ))),
            Precision::Packed(weight_type) => packed(weight_type),
            Precision::Auto => float(DType::F32),
        }
    }
}
