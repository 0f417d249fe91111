//! How values lie in a file, and their conversion to f32 and back.

use std::borrow::Cow;

use candle_core::quantized::GgmlDType;
use candle_core::{CpuStorage, DType};

use crate::error::{ModelError, ModelResult};
use crate::weights::precision::StoredAs;

/// How the values of a tensor lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Little-endian f32, f16 or bf16.
    Float(DType),
    /// Blocks of values that share scales (GGUF).
    Blocks(GgmlDType),
}

impl Encoding {
    /// Values of the smallest unit; a row has no part of one.
    pub(crate) fn block_len(self) -> usize {
        match self {
            Encoding::Float(_) => 1,
            Encoding::Blocks(kind) => kind.block_size(),
        }
    }

    /// Bytes of `values` values, whole blocks.
    pub(crate) fn bytes(self, values: usize) -> usize {
        match self {
            Encoding::Float(dtype) => values * dtype.size_in_bytes(),
            Encoding::Blocks(kind) => values / kind.block_size() * kind.type_size(),
        }
    }

    /// What it means for packing.
    pub(super) fn stored_as(self) -> StoredAs {
        use GgmlDType::{Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
        match self {
            Encoding::Blocks(Q4K) => StoredAs::Int4Grid,
            Encoding::Blocks(Q5_0 | Q5_1 | Q5K | Q6K | Q8_0) => StoredAs::MoreBits,
            Encoding::Blocks(_) | Encoding::Float(_) => StoredAs::Values,
        }
    }

    /// Decodes `bytes` to `out`.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut [f32]) -> ModelResult<()> {
        match self {
            Encoding::Float(dtype) => decode_floats(bytes, dtype, out),
            Encoding::Blocks(kind) => match kind.from_data(Cow::Borrowed(bytes)).dequantize(out.len())? {
                CpuStorage::F32(values) => out.copy_from_slice(&values),
                other => return Err(ModelError::Bug(format!("{kind:?} became {other:?}"))),
            },
        }
        Ok(())
    }
}

fn decode_floats(bytes: &[u8], dtype: DType, out: &mut [f32]) {
    match dtype {
        DType::F32 => {
            for (out, b) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = f32::from_le_bytes(*b);
            }
        }
        DType::BF16 => {
            for (out, b) in out.iter_mut().zip(bytes.as_chunks().0) {
                // Not with `half`, which tests each value for NaN.
                *out = f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
            }
        }
        _ => {
            for (out, b) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = half::f16::from_le_bytes(*b).to_f32();
            }
        }
    }
}

/// Appends f32 values as the nearest little-endian values of `dtype`.
pub(crate) fn encode_floats(values: &[f32], dtype: DType, out: &mut Vec<u8>) {
    match dtype {
        DType::F32 => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        DType::BF16 => out.extend(values.iter().flat_map(|value| half::bf16::from_f32(*value).to_le_bytes())),
        _ => out.extend(values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes())),
    }
}
