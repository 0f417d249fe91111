//! JPEG (ITU-T T.81): its segments without those of applications, and without comments.

use std::ops::Range;
use std::sync::Arc;

use image::metadata::Orientation;

use super::exif::exif_orientation;
use super::kept::keep;

/// Start of an EXIF segment (APP1).
const EXIF: &[u8] = b"Exif\0\0";

/// The file with the segments that pixels need, up to the end of the image, and the orientation of its first EXIF.
///
/// Of the segments of applications, JFIF (APP0) and Adobe (APP14) stay: they say what the components mean.
pub(super) fn essential(bytes: Arc<[u8]>) -> (Arc<[u8]>, Option<Orientation>) {
    let (mut kept, mut orientation) = (Vec::<Range<usize>>::new(), None);
    let (mut start, mut at) = (0, 2);
    while let Some(marker) = next_marker(&bytes, at) {
        let kind = bytes[marker + 1];
        if kind == 0xd9 {
            at = marker + 2;
            kept.push(start..at);
            return (keep(bytes, &kept), orientation);
        }
        if !has_length(kind) {
            at = marker + 2;
            continue;
        }
        let Some(length) = bytes.get(marker + 2..marker + 4) else { break };
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let end = marker + 2 + length;
        if length < 2 || end > bytes.len() {
            break;
        }
        let contents = &bytes[marker + 4..end];
        if is_ancillary(kind, contents) {
            if kind == 0xe1 && orientation.is_none() {
                orientation = contents.strip_prefix(EXIF).and_then(exif_orientation);
            }
            kept.push(start..marker);
            start = end;
        }
        at = end;
    }
    kept.push(start..bytes.len());
    (keep(bytes, &kept), orientation)
}

/// Where the next marker is: 0xff and a byte that is neither 0 (a coded 0xff), 0xff (filling) nor a restart.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
        match *bytes.get(at + 1)? {
            0xff => at += 1,
            0x00 | 0xd0..=0xd7 => at += 2,
            _ => return Some(at),
        }
    }
}

/// Whether a length and contents follow the marker.
fn has_length(kind: u8) -> bool {
    !matches!(kind, 0x01 | 0xd0..=0xd8)
}

/// Comments and what applications write, but for what tells the color space.
fn is_ancillary(kind: u8, contents: &[u8]) -> bool {
    match kind {
        0xfe => true,
        0xe0 => !(contents.starts_with(b"JFIF\0") && contents.len() <= 64),
        0xee => !(contents.starts_with(b"Adobe") && contents.len() <= 64),
        0xe1..=0xef => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An EXIF block of one entry: turned by 90 degrees.
    const TURNED: &[u8] = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";

    fn segment(kind: u8, contents: &[u8]) -> Vec<u8> {
        let length = (contents.len() as u16 + 2).to_be_bytes();
        [&[0xff, kind], length.as_slice(), contents].concat()
    }

    #[test]
    fn only_what_pixels_need_is_kept() {
        let needed = [segment(0xe0, b"JFIF\0\x01"), segment(0xee, b"Adobe\0"), segment(0xc0, b"frame")].concat();
        let scan = [&segment(0xda, b"scan")[..], &[1, 0xff, 0, 2, 0xff, 0xd3, 3, 0xff, 0xff]].concat();
        let ancillary = [
            segment(0xe1, &[EXIF, TURNED].concat()),
            segment(0xe1, b"http://ns.adobe.com/xmp/extension/\0"),
            segment(0xe2, b"ICC_PROFILE\0"),
            segment(0xed, b"Photoshop 3.0\0"),
            segment(0xe0, &[b"JFXX\0\x10".as_slice(), &[0; 100]].concat()),
            segment(0xfe, b"comment"),
        ]
        .concat();
        let end = [0xff, 0xd9];
        let with =
            [&[0xff, 0xd8], &ancillary[..], &needed, &ancillary, &scan, &ancillary, &scan, &end, b"more"].concat();
        let without = [&[0xff, 0xd8], &needed[..], &scan, &scan, &end].concat();
        let (bytes, orientation) = essential(with.into());
        assert_eq!((bytes.as_ref(), orientation), (without.as_slice(), Some(Orientation::Rotate90)));
        let same: Arc<[u8]> = without.into();
        assert!(Arc::ptr_eq(&essential(same.clone()).0, &same), "nothing is copied");
        for cut in 0..bytes.len() {
            assert_eq!(essential(bytes[..cut].into()).0.as_ref(), &bytes[..cut]);
        }
    }
}
