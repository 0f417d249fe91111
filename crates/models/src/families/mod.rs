//! The model families: a folder and a line in [`ALL`] each.

mod cogvlm2;
#[cfg(test)]
mod golden_frames;
mod llama_vid;
mod llava_onevision;
mod videochat2;
mod videollama3;

use crate::family::Family;

/// Every family.
pub const ALL: &[Family] =
    &[cogvlm2::FAMILY, llama_vid::FAMILY, llava_onevision::FAMILY, videochat2::FAMILY, videollama3::FAMILY];
