//! Color: planes of luma and chroma, and their conversion to RGB.
//!
//! The integer arithmetic is that of FFmpeg's scaler, so that frames equal those of the tools the reference models were
//! trained and tested with.

pub(crate) mod description;

mod coefficients;
pub(crate) mod convert;
mod general;
mod hdr;
mod matrix;
mod primaries;
pub(crate) mod yuv;
