//! What of a picture file reaches its decoder: what pixels are made of, and nothing that is packed beside them.
//!
//! Text, color profiles, EXIF, XMP, thumbnails and extensions can be compressed, can state any size, and decoders copy
//! them. The decoder gets a file without them. The orientation is read here.

pub(super) mod exif;
pub(super) mod gif;
pub(super) mod png;
pub(super) mod webp;

mod jpeg;
mod kept;
mod pnm;
mod tiff;

use std::sync::Arc;

use image::metadata::Orientation;

use super::format::PictureFormat;
use crate::error::MediaError;

/// A picture file as its decoder gets it.
pub(super) struct Essential {
    pub(super) bytes: Arc<[u8]>,
    /// The orientation that its EXIF block states.
    pub(super) orientation: Option<Orientation>,
    pub(super) warnings: Vec<String>,
}

/// The file without what no pixel needs. One that has nothing of the kind is not copied.
///
/// # Errors
/// `Malformed` and `Limit` for lists that the decoder would read into memory: those of TIFF, the header of PAM.
pub(super) fn essential(bytes: Arc<[u8]>, format: PictureFormat) -> Result<Essential, MediaError> {
    let mut warnings = Vec::new();
    let (bytes, exif) = match format {
        PictureFormat::Png => png::essential(bytes, &mut warnings),
        PictureFormat::Jpeg => jpeg::essential(bytes),
        PictureFormat::WebP => webp::essential(bytes),
        PictureFormat::Gif => (gif::essential(bytes), None),
        PictureFormat::Tiff => (tiff::essential(bytes)?, None),
        PictureFormat::Pnm => (pnm::essential(bytes)?, None),
        // They have nothing but pixels and a palette of 65,536 entries at most.
        PictureFormat::Bmp | PictureFormat::Ico | PictureFormat::Qoi | PictureFormat::Tga => (bytes, None),
    };
    Ok(Essential { bytes, orientation: exif, warnings })
}
