//! Parts that families share: leaves with weights, hot operations, caches and where weights come from.

pub mod cache;
mod composite;
pub mod linear;
pub mod ops;
pub mod weights;
