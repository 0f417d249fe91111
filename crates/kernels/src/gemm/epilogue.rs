//! Epilogue of a product: bias, residual or activation are added to a row of accumulators while it is in a cache.

use std::mem::MaybeUninit;

use crate::elementwise::activation::{gelu_erf_scalar, gelu_tanh_scalar};
use crate::isa::per_isa;

/// Activation function between the two products of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MlpActivation {
    /// GELU in the tanh form, of one product.
    GeluTanh,
    /// GELU with the error function, of one product.
    GeluErf,
    /// SwiGLU: `silu(gate) * up`, of two products.
    SwiGlu,
}

per_isa! {
    /// Writes `activation(acc + bias)` of one row to `y`; without an activation, or with SwiGLU, whose gate needs both
    /// products, `acc + bias`.
    pub(super) fn epilogue / epilogue_at(
        acc: &[f32], bias: &[f32], activation: Option<MlpActivation>, y: &mut [MaybeUninit<f32>],
    ) {
        let all = y.iter_mut().zip(acc).zip(bias);
        match activation {
            None | Some(MlpActivation::SwiGlu) => all.for_each(|((y, acc), bias)| { y.write(acc + bias); }),
            Some(MlpActivation::GeluTanh) => {
                all.for_each(|((y, acc), bias)| { y.write(gelu_tanh_scalar::<FMA>(acc + bias)); });
            }
            Some(MlpActivation::GeluErf) => {
                all.for_each(|((y, acc), bias)| { y.write(gelu_erf_scalar::<FMA>(acc + bias)); });
            }
        }
    }
}

per_isa! {
    /// Writes `acc + bias + residual` of one row to `y`.
    pub(super) fn epilogue_residual / epilogue_residual_at(
        acc: &[f32], bias: &[f32], residual: &[f32], y: &mut [MaybeUninit<f32>],
    ) {
        for (((y, acc), bias), residual) in y.iter_mut().zip(acc).zip(bias).zip(residual) {
            y.write(acc + bias + residual);
        }
    }
}

/// `values` as memory that may be written.
pub(super) fn as_uninit(values: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: both types have the same layout; only initialized values are written through the result.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), values.len()) }
}
