//! Image preprocessing for vision encoders: antialiased resize ([`resize`]) and patches ([`patchify`]).

pub mod patchify;
pub mod resize;
