//! H.264 decoders.

pub(super) mod rust_h264;
pub(super) mod rusty_h264;
pub(super) mod sps;
pub(super) mod threads;

mod sps_syntax;
#[cfg(test)]
mod tests;
