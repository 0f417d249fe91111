//! HEVC decoders.

pub(super) mod rust_h265;
pub(super) mod rusty_h265;
pub(super) mod sps;
pub(super) mod threads;
