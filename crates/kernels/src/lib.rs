//! CPU arithmetic on slices: products with packed weights, attention, linear layers, norms, rope and activations,
//! picture resize and patches, what the machine allows at most, and the safe door to mapped files.
//!
//! The only room that may say `unsafe`. Imports nothing of ours. Deliberately absent: tensors, models, files' meaning.

pub mod activation;
#[cfg(target_arch = "aarch64")]
mod arm;
pub mod attention;
#[cfg(feature = "av1")]
pub mod av1;
mod fetch;
mod gemm;
pub mod level;
pub mod linear;
pub mod map;
pub mod memory;
pub mod norm;
pub mod packed;
pub mod patchify;
pub mod peak;
pub mod resize;
pub mod rope;
pub mod spread;
mod team;
