//! Image formats: recognized by the first bytes, opened by the decoders of the `image` crate.

use std::io::Cursor;
use std::sync::Arc;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::error::{MediaError, malformed};

/// The format of an image file by its first bytes; `None` when it is none of ours.
pub(crate) fn sniff(head: &[u8]) -> Option<ImageFormat> {
    let is = |magic: &[u8]| head.starts_with(magic);
    if is(&[0xff, 0xd8, 0xff]) {
        Some(ImageFormat::Jpeg)
    } else if is(b"\x89PNG\r\n\x1a\n") {
        Some(ImageFormat::Png)
    } else if is(b"GIF87a") || is(b"GIF89a") {
        Some(ImageFormat::Gif)
    } else if is(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        Some(ImageFormat::WebP)
    } else {
        None
    }
}

/// A reader for one image, without limits of its own: ours are checked on the header, before the image is allocated.
pub(super) fn still_reader(bytes: &Arc<[u8]>, format: ImageFormat) -> ImageReader<Cursor<Arc<[u8]>>> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes.clone()), format);
    reader.no_limits();
    reader
}

/// Whether the file is in an animated form of its format. Every GIF is.
pub(super) fn is_animated(bytes: &Arc<[u8]>, format: ImageFormat) -> Result<bool, MediaError> {
    let input = Cursor::new(bytes.clone());
    Ok(match format {
        ImageFormat::Gif => true,
        ImageFormat::Png => PngDecoder::new(input).and_then(|png| png.is_apng()).map_err(explain)?,
        ImageFormat::WebP => WebPDecoder::new(input).map_err(explain)?.has_animation(),
        _ => false,
    })
}

/// The frames of an animated file, from the first one.
pub(super) fn animation_frames(
    bytes: &Arc<[u8]>,
    format: ImageFormat,
    limits: &image::Limits,
) -> Result<image::Frames<'static>, MediaError> {
    let input = Cursor::new(bytes.clone());
    Ok(match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(input).map_err(explain)?;
            decoder.set_limits(limits.clone()).map_err(explain)?;
            decoder.into_frames()
        }
        ImageFormat::Png => {
            PngDecoder::with_limits(input, limits.clone()).and_then(PngDecoder::apng).map_err(explain)?.into_frames()
        }
        _ => WebPDecoder::new(input).map_err(explain)?.into_frames(),
    })
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
