//! The little of H.264 and HEVC bitstreams that start-code containers need: NAL units, keyframes, the sequence header
//! and the picture order count. Nothing is decoded.

pub(super) mod poc;
pub(super) mod sps;
pub(super) mod start_code;
pub(super) mod unit_type;

mod bits;
