//! Matrix products `y = x W^T + b` (GEMM) with weights packed once for the micro-kernels: f32, bf16, int8 and int4.
//!
//! Shapes: `x` is `[t, cols]` f32, `W` is `[rows, cols]`, `b` is `[rows]`, `y` is `[t, rows]` f32.
//!
//! - **f32**: no rounding of weights or activations.
//! - **bf16**: weights and `x` rounded to bf16, exact products, f32 sums.
//! - **int8**: a bf16 scale for each 128 weights of a row, the largest of them becomes 127 or -127. `x` is quantized to
//!   int8 with an f32 scale for each 128 values, so that an outlier coarsens only its group. Sums of 128 products are
//!   exact in 32-bit integers; then the scales are applied.
//! - **int4**: a scale and a minimum for each 32 weights of a row (`layout.rs`), values `0..=15` times the scale, less
//!   the minimum; `x` as for int8.
//!
//! The way of a product: [`fused_linear`] (or [`fused_mlp`]) packs `x` (`activations.rs`, `quantize.rs`); the
//! macro-kernel (`macrokernel.rs`) walks over cache blocks (`blocking.rs`), calls a micro-kernel (`microkernel/`) for
//! each block and panel, and finishes it (`epilogue.rs`). Weights are packed by [`PackedMatrix`] (`pack_weights.rs`);
//! `layout.rs` defines the panel format, which is the same on every machine, so that converted files can be mapped and
//! used.

pub(crate) mod activations;
mod blocking;
mod check;
mod epilogue;
mod fused;
pub(crate) mod layout;
mod macrokernel;
mod matrix;
pub(crate) mod microkernel;
pub(crate) mod pack_weights;
pub(crate) mod quantize;
#[cfg(test)]
mod tests;
pub(crate) mod weight_type;

pub use activations::PreNorm;
pub use check::relative_error;
pub use epilogue::MlpActivation;
pub use fused::{fused_linear, fused_mlp};
pub use matrix::{LinearWeights, PackedMatrix, SharedBytes};
pub use pack_weights::SuperBlock;
pub use weight_type::WeightType;
