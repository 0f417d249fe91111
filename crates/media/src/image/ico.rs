//! ICO and CUR: the largest of their pictures, as a file of its own.

use std::sync::Arc;

use super::format::PictureFormat;
use crate::error::{MediaError, malformed};

/// Bytes of the header and of an entry of the directory.
const HEADER: usize = 6;
const ENTRY: usize = 16;

/// The largest picture with the most bits per pixel: the PNG that it is, or an ICO with this picture alone.
///
/// # Errors
/// `Malformed` when the directory is empty or the picture lies outside the file.
pub(super) fn largest(bytes: &[u8]) -> Result<(Arc<[u8]>, PictureFormat), MediaError> {
    let count = bytes.get(4..HEADER).map_or(0, |c| usize::from(u16::from_le_bytes([c[0], c[1]])));
    let entries = bytes.get(HEADER..).unwrap_or(&[]).chunks_exact(ENTRY).take(count);
    // A width or height of 0 means 256.
    let side = |byte: u8| if byte == 0 { 256 } else { u32::from(byte) };
    let rank = |entry: &&[u8]| (side(entry[0]) * side(entry[1]), u16::from_le_bytes([entry[6], entry[7]]));
    let Some(entry) = entries.max_by_key(rank) else {
        return Err(malformed("icon", format!("its directory of {count} pictures is cut short or empty")));
    };
    let word = |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]) as usize;
    let (size, offset) = (word(8), word(12));
    let Some(picture) = offset.checked_add(size).and_then(|end| bytes.get(offset..end)) else {
        let what = format!("its picture of {size} bytes at {offset} is not inside the {} bytes", bytes.len());
        return Err(malformed("icon", what));
    };
    if picture.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok((picture.into(), PictureFormat::Png));
    }
    let mut file = vec![0, 0, 1, 0, 1, 0];
    file.extend(&entry[..4]);
    // Cursors have the place of their hot spot where icons have planes and bits; the picture knows its bits itself.
    file.extend([0; 4]);
    file.extend(&entry[8..12]);
    file.extend(((HEADER + ENTRY) as u32).to_le_bytes());
    file.extend(picture);
    Ok((file.into(), PictureFormat::Ico))
}
