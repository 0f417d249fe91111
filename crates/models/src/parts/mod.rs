//! Parts that families share: leaves with weights, hot operations, caches and where weights come from.

pub mod cache;
mod composite;
mod custom;
mod files;
mod fused;
pub mod linear;
pub mod mlp;
pub mod ops;
mod random;
pub(crate) mod save;
pub mod weights;
