//! Parts that families share.

pub mod cache;
