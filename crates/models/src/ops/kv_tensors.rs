//! Keys or values as tensors, in the type they are kept in.
//!
//! Legend: S positions, K key heads, C width of a head, B blocks, L positions of a block.

use candle_core::{DType, Result, Tensor};

/// Keys or values of one layer: of some rows, or of all blocks of a cache.
#[derive(Clone, Debug)]
pub struct KvTensors {
    /// `[S, K, C]`, or `[B, K, L, C]` of a cache. Floats, or int8 in the 8 bits of two's complement.
    pub(crate) values: Tensor,
    /// Int8 only: f32 scales of every position and head, `[S, K]` or `[B, K, L]`.
    pub(crate) scales: Option<Tensor>,
    /// Int8 keys of a cache only: f32 scales of every channel, `[B, K, C]`; a sequence has those of its first block.
    pub(crate) channel_scales: Option<Tensor>,
}

impl From<Tensor> for KvTensors {
    fn from(values: Tensor) -> Self {
        KvTensors { values, scales: None, channel_scales: None }
    }
}

/// Int8 values `[.., C]` times their scales `[..]`, in f32.
pub(crate) fn dequantize(values: &Tensor, scales: &Tensor) -> Result<Tensor> {
    // The upper half of the 8 bits of two's complement is negative.
    let negative = values.gt(127u8)?.to_dtype(DType::F32)?;
    let integers = (values.to_dtype(DType::F32)? - (negative * 256.0)?)?;
    integers.broadcast_mul(&scales.unsqueeze(scales.rank())?)
}
