//! Objects of a scene: their shapes (with their signed distance fields), colors and motions.

pub(super) mod color;
pub(super) mod motion;
pub(super) mod object;
pub(super) mod sdf;
pub(super) mod shape;
