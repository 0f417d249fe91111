//! Picture formats, recognized by their first bytes.

use image::ImageFormat;

/// A picture format that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PictureFormat {
    Jpeg,
    Png,
    Gif,
    WebP,
    Bmp,
    Ico,
    Tiff,
    Pnm,
    Qoi,
    Tga,
}

impl PictureFormat {
    /// The lower-case name.
    pub(super) fn name(self) -> &'static str {
        match self {
            PictureFormat::Jpeg => "jpeg",
            PictureFormat::Png => "png",
            PictureFormat::Gif => "gif",
            PictureFormat::WebP => "webp",
            PictureFormat::Bmp => "bmp",
            PictureFormat::Ico => "ico",
            PictureFormat::Tiff => "tiff",
            PictureFormat::Pnm => "pnm",
            PictureFormat::Qoi => "qoi",
            PictureFormat::Tga => "tga",
        }
    }

    /// The decoder of the `image` crate.
    pub(super) fn decoder(self) -> ImageFormat {
        match self {
            PictureFormat::Jpeg => ImageFormat::Jpeg,
            PictureFormat::Png => ImageFormat::Png,
            PictureFormat::Gif => ImageFormat::Gif,
            PictureFormat::WebP => ImageFormat::WebP,
            PictureFormat::Bmp => ImageFormat::Bmp,
            PictureFormat::Ico => ImageFormat::Ico,
            PictureFormat::Tiff => ImageFormat::Tiff,
            PictureFormat::Pnm => ImageFormat::Pnm,
            PictureFormat::Qoi => ImageFormat::Qoi,
            PictureFormat::Tga => ImageFormat::Tga,
        }
    }
}

/// The format of an image file by its first and last bytes; `None` when it is none of ours.
pub(crate) fn sniff(head: &[u8], tail: &[u8]) -> Option<PictureFormat> {
    let is = |magic: &[u8]| head.starts_with(magic);
    if is(&[0xff, 0xd8, 0xff]) {
        Some(PictureFormat::Jpeg)
    } else if is(b"\x89PNG\r\n\x1a\n") {
        Some(PictureFormat::Png)
    } else if is(b"GIF87a") || is(b"GIF89a") {
        Some(PictureFormat::Gif)
    } else if is(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        Some(PictureFormat::WebP)
    } else if is(b"II*\0") || is(b"MM\0*") {
        Some(PictureFormat::Tiff)
    } else if is(b"qoif") {
        Some(PictureFormat::Qoi)
    } else if is_bmp(head) {
        Some(PictureFormat::Bmp)
    } else if is_icon(head) {
        Some(PictureFormat::Ico)
    } else if head.len() > 2 && head[0] == b'P' && (b'1'..=b'7').contains(&head[1]) && head[2].is_ascii_whitespace() {
        Some(PictureFormat::Pnm)
    } else {
        // Only the second version of TGA can be told, by its footer.
        tail.ends_with(b"TRUEVISION-XFILE.\0").then_some(PictureFormat::Tga)
    }
}

/// "BM" alone may start any text: the size of the header behind it must be one of those in use.
fn is_bmp(head: &[u8]) -> bool {
    head.starts_with(b"BM") && matches!(head.get(14..18), Some(&[12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

/// An icon or a cursor with at least one entry, whose reserved byte is 0 and whose picture starts after the directory.
fn is_icon(head: &[u8]) -> bool {
    let Some(&[0, 0, 1 | 2, 0, count_low, count_high]) = head.get(..6) else { return false };
    let count = u32::from(u16::from_le_bytes([count_low, count_high]));
    let Some(&[a, b, c, d]) = head.get(18..22) else { return false };
    count > 0 && u32::from_le_bytes([a, b, c, d]) >= 6 + 16 * count
}
