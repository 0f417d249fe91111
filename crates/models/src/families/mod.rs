//! The model families: a folder and a line in [`ALL`] each.

mod videochat2;
mod videollama3;

use crate::family::Family;

/// Every family.
pub const ALL: &[Family] = &[videochat2::FAMILY, videollama3::FAMILY];
