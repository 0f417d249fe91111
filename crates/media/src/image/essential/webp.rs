//! WebP (RFC 9649): its chunks, and those that a still picture needs.

use std::ops::Range;
use std::sync::Arc;

use image::metadata::Orientation;

use super::exif::exif_orientation;

/// Bits of the first byte of `VP8X`.
pub(in super::super) const ANIMATED: u8 = 0x02;
pub(in super::super) const ALPHA: u8 = 0x10;

/// Bytes of the head of the file.
const HEAD: usize = 12;

/// A chunk: its type and where its contents lie, cut at the end of the file.
pub(in super::super) struct Chunk {
    pub(in super::super) fourcc: [u8; 4],
    pub(in super::super) contents: Range<usize>,
    pub(in super::super) whole: bool,
}

/// The chunks in `range`.
pub(in super::super) fn chunks(bytes: &[u8], range: Range<usize>) -> impl Iterator<Item = Chunk> + '_ {
    let Range { start: mut at, end } = range;
    std::iter::from_fn(move || {
        let head = bytes.get(at..at + 8).filter(|_| at + 8 <= end)?;
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let start = at + 8;
        let stated_end = start.saturating_add(size);
        at = stated_end.saturating_add(size % 2);
        let fourcc = [head[0], head[1], head[2], head[3]];
        Some(Chunk { fourcc, contents: start..stated_end.min(end), whole: stated_end <= end })
    })
}

/// The file with the first of each chunk that a still picture needs, and the orientation that `EXIF` states. An
/// animation is left as it is: its frames are taken out one by one.
pub(super) fn essential(bytes: Arc<[u8]>) -> (Arc<[u8]>, Option<Orientation>) {
    let (mut file, mut seen, mut orientation) = (b"RIFF\0\0\0\0WEBP".to_vec(), Vec::new(), None);
    for chunk in chunks(&bytes, HEAD..bytes.len()) {
        if chunk.fourcc == *b"EXIF" && chunk.whole && orientation.is_none() {
            orientation = exif_orientation(&bytes[chunk.contents.clone()]);
        }
        let needed = matches!(&chunk.fourcc, b"VP8X" | b"ALPH" | b"VP8 " | b"VP8L");
        if !needed || seen.contains(&chunk.fourcc) {
            continue;
        }
        seen.push(chunk.fourcc);
        let start = file.len();
        file.extend_from_slice(&bytes[chunk.contents.start - 8..chunk.contents.end]);
        if file.len() % 2 == 1 {
            file.push(0);
        }
        if chunk.fourcc == *b"VP8X" && chunk.whole && chunk.contents.len() >= 10 {
            if file[start + 8] & ANIMATED != 0 {
                return (bytes.clone(), None);
            }
            // Nothing but alpha is left of what it announces.
            file[start + 8] &= ALPHA;
        }
    }
    let size = (file.len() - 8) as u32;
    file[4..8].copy_from_slice(&size.to_le_bytes());
    (if *file == *bytes { bytes } else { file.into() }, orientation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(fourcc: &[u8; 4], contents: &[u8]) -> Vec<u8> {
        let size = (contents.len() as u32).to_le_bytes();
        [fourcc.as_slice(), &size, contents, &[0][..contents.len() % 2]].concat()
    }

    fn file(parts: &[Vec<u8>]) -> Vec<u8> {
        let body = parts.concat();
        [b"RIFF".as_slice(), &(body.len() as u32 + 4).to_le_bytes(), b"WEBP", &body].concat()
    }

    #[test]
    fn only_what_pixels_need_is_kept() {
        let vp8x = |flags| chunk(b"VP8X", &[flags, 0, 0, 0, 7, 0, 0, 7, 0, 0]);
        let exif = chunk(b"EXIF", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0");
        let (alpha, pixels) = (chunk(b"ALPH", b"a"), chunk(b"VP8 ", b"pixels!"));
        let (profile, text) = (chunk(b"ICCP", &[1; 99]), chunk(b"XMP ", b"text"));
        let with = [vp8x(0x3c), profile, alpha.clone(), text, pixels.clone(), pixels.clone(), exif];
        let without: Arc<[u8]> = file(&[vp8x(ALPHA), alpha, pixels]).into();
        let (bytes, orientation) = essential(file(&with).into());
        assert_eq!((bytes, orientation), (without.clone(), Some(Orientation::Rotate180)));
        assert!(Arc::ptr_eq(&essential(without.clone()).0, &without), "nothing is copied");
        let animation: Arc<[u8]> = file(&[vp8x(ANIMATED), chunk(b"ANIM", &[0; 6])]).into();
        assert!(Arc::ptr_eq(&essential(animation.clone()).0, &animation));
    }
}
