//! The hot operations, one file each: our kernel on the CPU with its gradient, candle's operations elsewhere.
//!
//! On accelerators no operation copies activations to the host: masks are made on the device, rope tables are uploaded
//! once a pass. Values that nobody learns from go through candle's fused operations there, which have no gradient.
//! `ZOETROPE_OPS=candle` sends the CPU down that path, too.

mod activation;
mod attention;
mod cross_entropy;
mod embedding;
mod gradients;
mod kv_tensors;
mod linear;
mod norm;
mod packed_linear;
mod recompute;
mod rope;
mod tensors;
#[cfg(test)]
mod tests;

pub use activation::{add, gelu_erf, gelu_tanh, swiglu};
#[cfg(test)]
pub(crate) use attention::dequantized_for_test;
pub use attention::{AttentionOptions, PagedSequence, attention, paged_attention};
pub use cross_entropy::cross_entropy;
pub use embedding::embedding;
pub use gradients::{Gradients, backward};
pub use kv_tensors::KvTensors;
pub use linear::{linear, linear_bf16};
pub use norm::{layer_norm, rms_norm};
pub(crate) use packed_linear::{FusedInput, FusedNorm, PackedWeights, fused_linear, fused_mlp, packed_linear};
pub(crate) use recompute::recomputed;
pub use rope::{RopeTables, rope};
pub(crate) use tensors::{kernels_serve, with_values};
