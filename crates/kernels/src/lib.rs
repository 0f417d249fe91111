//! CPU arithmetic on slices: matrix products with packed weights ([`gemm`]) and with plain f32 ones ([`dense`]),
//! [`attention`], norms, RoPE and activations ([`elementwise`]), image resize and patches ([`image`]), the limits of
//! this machine ([`roofline`]). Kernels pick an instruction set at run time ([`isa`]) and spread work over [`threads`].
//!
//! Beside `system` the only crate that may say `unsafe`. Imports nothing of ours. Deliberately absent: tensors, models,
//! files.

pub mod attention;
mod bf16;
mod cache_lines;
pub mod dense;
pub mod elementwise;
pub mod gemm;
pub mod image;
pub mod isa;
#[cfg(target_arch = "aarch64")]
mod neon_asm;
mod plain_number;
mod prefetch;
pub mod roofline;
pub mod threads;
