//! What H.264 and HEVC bitstreams say in their headers: NAL units, parameter sets, keyframes and the picture order
//! count. Nothing is decoded.

pub(crate) mod parameter_sets;
pub(crate) mod picture_order;
pub(crate) mod sei;
pub(crate) mod units;

pub(super) mod configuration;
pub(super) mod framing;
pub(super) mod h264;
pub(super) mod hevc;
pub(super) mod poc;
pub(super) mod sps;
pub(super) mod start_code;
pub(super) mod unit_type;

mod bits;
