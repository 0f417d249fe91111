//! Image preprocessing for vision encoders: YUV to RGB ([`yuv`]), antialiased resize ([`resize`]) and patches
//! ([`patchify`]).

pub mod patchify;
pub mod resize;
pub mod yuv;
