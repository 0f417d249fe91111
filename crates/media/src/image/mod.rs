//! Image files: JPEG, PNG, WebP, GIF, BMP, ICO, TIFF, PNM, QOI and TGA through the `image` crate, HEIC and AVIF through
//! the decoders for video.
//!
//! Sizes are checked on the header before anything of that size is allocated. Transparent parts are composited over a
//! background color or shown as stored ([`Alpha`](crate::Alpha)). A stored (EXIF) orientation is applied. What is
//! packed beside the pixels reaches no decoder (`essential/`).

pub(crate) mod file;
pub(crate) mod folder;
pub(crate) mod format;
pub(crate) mod frames;
pub(crate) mod picture;

mod alpha;
mod animation;
mod essential;
mod heif;
mod ico;
mod still;
