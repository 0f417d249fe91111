//! All rounding of f32 values to integers: groups of weights, and rows of activations.

mod int4;
mod int8;

pub(super) use int4::quantize_block_i4;
pub(super) use int8::{QUANT_BLOCK, QuantMeta, quantize_activations_at, quantize_group_i8};
pub(crate) use int8::{ROUNDING_MAGIC, abs_max, inverse_scale};
