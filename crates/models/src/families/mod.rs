//! The model families: a folder and a line in [`ALL`] each.

mod llava_onevision;
mod videochat2;
mod videollama3;

use crate::family::Family;

/// Every family.
pub const ALL: &[Family] = &[llava_onevision::FAMILY, videochat2::FAMILY, videollama3::FAMILY];
