//! One still picture through the decoders of the `image` crate.

use std::io::Cursor;
use std::sync::Arc;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader};

use super::format::PictureFormat;
use crate::error::{MediaError, malformed};
use crate::options::limits::{Limits, check_limit};

/// What the header of a picture says.
pub(super) struct Header {
    /// Stored size in pixels, before orientation.
    pub(super) size: (u32, u32),
    pub(super) orientation: Orientation,
    /// Whether there is an alpha channel or a transparent color.
    pub(super) alpha: bool,
    /// Bytes of a decoded pixel.
    bytes_per_pixel: u64,
}

/// Reads the header of a file that has only what is [`essential`](super::essential). Nothing of the picture's size is
/// allocated.
///
/// # Errors
/// `Malformed` and `Unsupported` headers.
pub(super) fn header(bytes: &Arc<[u8]>, format: PictureFormat, limits: &image::Limits) -> Result<Header, MediaError> {
    let mut decoder = decoder(bytes, format, limits)?;
    let (size, color) = (decoder.dimensions(), decoder.color_type());
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok(Header { size, orientation, alpha: color.has_alpha(), bytes_per_pixel: color.bytes_per_pixel().into() })
}

impl Header {
    /// Checks the size of a still picture: it and its RGB pixels must fit into the budget for pictures.
    ///
    /// # Errors
    /// `Malformed` for no pixel, `Limit` for too many.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), MediaError> {
        check_size(self.size, limits.picture_bytes / self.bytes_per_pixel.max(3))
    }
}

/// Checks a picture's size against a number of pixels.
///
/// # Errors
/// `Malformed` for no pixel, `Limit` for too many.
pub(super) fn check_size((width, height): (u32, u32), max_pixels: u64) -> Result<(), MediaError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(malformed("picture", format!("size is {width}x{height}")));
    }
    check_limit("pixels of the picture", pixels, max_pixels)
}

/// Decodes the picture.
pub(super) fn decode(
    bytes: &Arc<[u8]>,
    format: PictureFormat,
    limits: &image::Limits,
) -> Result<DynamicImage, MediaError> {
    DynamicImage::from_decoder(decoder(bytes, format, limits)?).map_err(explain)
}

fn decoder(bytes: &Arc<[u8]>, format: PictureFormat, limits: &image::Limits) -> Result<impl ImageDecoder, MediaError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes.clone()), format.decoder());
    reader.limits(limits.clone());
    reader.into_decoder().map_err(explain)
}

/// An error of the `image` crate as ours.
pub(super) fn explain(error: ImageError) -> MediaError {
    match error {
        ImageError::Unsupported(what) => MediaError::Unsupported {
            what: what.to_string(),
            remedy: "convert the picture to an ordinary JPEG, PNG, WebP or GIF".into(),
        },
        ImageError::IoError(error) => malformed("picture", format!("cut short ({error})")),
        ImageError::Limits(error) => malformed("picture", error.to_string()),
        error => malformed("picture", error.to_string()),
    }
}
