//! The model families: a folder and a line in [`ALL`] each.

mod llama_vid;
mod videollama3;

use crate::family::Family;

/// Every family.
pub const ALL: &[Family] = &[llama_vid::FAMILY, videollama3::FAMILY];
