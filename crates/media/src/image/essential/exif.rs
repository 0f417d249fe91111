//! EXIF: the orientation, which is all that is read of it.

use image::metadata::Orientation;

/// The orientation that an EXIF block states. Some writers put the marker of JPEG in front of it in other formats.
pub(in super::super) fn exif_orientation(exif: &[u8]) -> Option<Orientation> {
    Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
}
