//! Animations: GIF, APNG and WebP. Their frames are listed without decoding them where the format allows it.

pub(super) mod apng;
pub(super) mod delay;
pub(super) mod gif;
pub(super) mod player;
pub(super) mod webp;

mod canvas;
mod coded_frame;
