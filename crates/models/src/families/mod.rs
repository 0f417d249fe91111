//! The model families: a folder and a line in [`ALL`] each.

mod videollama3;

use crate::family::Family;

/// Every family.
pub const ALL: &[Family] = &[videollama3::FAMILY];
