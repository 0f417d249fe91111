//! CPU arithmetic on slices.

pub mod map;
