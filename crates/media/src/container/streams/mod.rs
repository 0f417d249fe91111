//! Formats that are little more than a sequence of frames.

pub(super) mod flv;
pub(super) mod ivf;
pub(super) mod y4m;
