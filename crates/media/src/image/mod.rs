//! Image files: JPEG, PNG, WebP and GIF, one image or an animation, through the `image` crate.
//!
//! Sizes are checked on the header before anything of that size is allocated. Alpha is dropped, not blended, as the
//! reference processors' `convert("RGB")` does. A stored (EXIF) orientation is applied.

pub(crate) mod file;
pub(crate) mod format;
pub(crate) mod frames;

mod delay;
