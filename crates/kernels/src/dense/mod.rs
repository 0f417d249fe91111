//! Products with f32 matrices in plain row-major order, as training needs them: the linear layer with its gradients
//! ([`linear`], through the `gemm` crate), and the layer in mixed precision ([`linear_bf16`]). Products with packed
//! weights are in [`crate::gemm`].

pub(crate) mod gemm_crate;
mod linear;
mod linear_bf16;

pub use linear::{linear, linear_backward_bias, linear_backward_input, linear_backward_weight};
pub use linear_bf16::{linear_bf16, linear_bf16_backward_input, linear_bf16_backward_weight};
