//! Parts that families share: leaves with weights, hot operations, caches and where weights come from.

pub mod cache;
mod composite;
mod custom;
mod files;
mod fused;
mod gguf;
pub mod linear;
mod listed;
pub mod mlp;
pub mod ops;
pub mod precision;
mod random;
pub(crate) mod save;
mod stored;
pub mod weights;
