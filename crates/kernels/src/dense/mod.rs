//! Products with f32 matrices in plain row-major order, as training needs them, through the `gemm` crate: the linear
//! layer with its gradients ([`linear`]). Products with packed weights are in [`crate::gemm`].

pub(crate) mod gemm_crate;
mod linear;

pub use linear::{linear, linear_backward_bias, linear_backward_input, linear_backward_weight};
