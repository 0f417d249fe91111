//! TIFF 6.0: the first directory with only the entries that its pixels need, and with lists of a bounded length.

use std::sync::Arc;

use crate::error::{MediaError, malformed};
use crate::options::limits::check_limit;

/// Bytes of an entry: tag, type, count, and the value or where it is.
const ENTRY: usize = 12;
/// Offsets, or sizes, of strips or tiles at most. A decoder holds some 40 bytes for each.
const MAX_PARTS: u64 = 65_536;
/// Bytes of the tables of a JPEG stream in a TIFF at most.
const MAX_TABLES: u64 = 65_536;
/// Values of any other entry at most: one for each sample of a pixel.
const MAX_VALUES: u64 = 64;

/// The most values that an entry with this tag may have; `None` when no pixel needs it.
fn max_values(tag: u16) -> Option<u64> {
    match tag {
        // Offsets and sizes of strips; offsets and sizes of tiles.
        273 | 279 | 324 | 325 => Some(MAX_PARTS),
        // Tables of JPEG.
        347 => Some(MAX_TABLES),
        // Kind of page, width, height, bits, compression, color space, order of bits, orientation, samples, rows of a
        // strip, planes, predictor, width and height of a tile, extra samples, format of samples, and how chroma is
        // sampled, placed and scaled.
        254 | 256..=259 | 262 | 266 | 274 | 277 | 278 | 284 | 317 | 322 | 323 | 338 | 339 | 529..=532 => {
            Some(MAX_VALUES)
        }
        _ => None,
    }
}

/// The file with the entries that pixels need in its first directory, which is its only one then.
///
/// # Errors
/// `Malformed` for a directory outside the file, `Limit` for lists that are too long.
pub(super) fn essential(bytes: Arc<[u8]>) -> Result<Arc<[u8]>, MediaError> {
    let order = Order { little: bytes.starts_with(b"II") };
    let directory = order.u32(&bytes, 4).ok_or_else(|| malformed("tiff file", "its header is cut short"))? as usize;
    let Some(count) = order.u16(&bytes, directory) else {
        let what = format!("its directory at {directory} is not inside its {} bytes", bytes.len());
        return Err(malformed("tiff file", what));
    };
    let first = directory + 2;
    let Some(entries) = bytes[first..].get(..usize::from(count) * ENTRY) else {
        let what = format!("its directory of {count} entries at {directory} is cut short");
        return Err(malformed("tiff file", what));
    };
    let mut kept = Vec::new();
    for entry in entries.chunks_exact(ENTRY) {
        let tag = order.u16(entry, 0).unwrap_or_default();
        let values = order.u32(entry, 4).unwrap_or_default();
        if let Some(most) = max_values(tag) {
            check_limit("values of an entry of the picture's directory", values.into(), most)?;
            kept.extend_from_slice(entry);
        }
    }
    let mut file = bytes.to_vec();
    file[directory..first].copy_from_slice(&order.bytes((kept.len() / ENTRY) as u16));
    let end = first + kept.len();
    file[first..end].copy_from_slice(&kept);
    // No further directory. The file may end with the last entry.
    file.resize(file.len().max(end + 4), 0);
    file[end..end + 4].fill(0);
    Ok(file.into())
}

/// The byte order of the file.
struct Order {
    little: bool,
}

impl Order {
    fn u16(&self, bytes: &[u8], at: usize) -> Option<u16> {
        let field = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.little { u16::from_le_bytes(field) } else { u16::from_be_bytes(field) })
    }

    fn u32(&self, bytes: &[u8], at: usize) -> Option<u32> {
        let field = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.little { u32::from_le_bytes(field) } else { u32::from_be_bytes(field) })
    }

    fn bytes(&self, number: u16) -> [u8; 2] {
        if self.little { number.to_le_bytes() } else { number.to_be_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(little: bool, entries: &[(u16, u32)]) -> Vec<u8> {
        let order = Order { little };
        let long = |n: u32| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let mut file = if little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        file.extend(long(8));
        file.extend(order.bytes(entries.len() as u16));
        for &(tag, count) in entries {
            file.extend(order.bytes(tag));
            file.extend(order.bytes(4));
            file.extend(long(count));
            file.extend(long(7));
        }
        file.extend(long(8));
        file
    }

    #[test]
    fn other_entries_and_pages_are_left_out_and_long_lists_are_refused() {
        for little in [true, false] {
            let with = file(little, &[(256, 1), (257, 1), (700, 1 << 30), (34665, 1), (34675, 1 << 31)]);
            let without = file(little, &[(256, 1), (257, 1)]);
            let given = essential(with.into()).unwrap();
            let end = without.len() - 4;
            assert_eq!(given[..end], without[..end]);
            assert_eq!(given[end..end + 4], [0; 4], "no page follows");
            for (tag, count) in [(258, 65), (273, 65_537), (325, u32::MAX)] {
                let error = essential(file(little, &[(tag, count)]).into()).unwrap_err();
                assert!(matches!(error, MediaError::Limit { number, .. } if number == u64::from(count)), "{error}");
            }
        }
    }

    #[test]
    fn a_directory_that_is_cut_short_is_refused() {
        let whole = file(true, &[(256, 1), (257, 1)]);
        for cut in 4..whole.len() - 4 {
            assert!(matches!(essential(whole[..cut].into()), Err(MediaError::Malformed { .. })), "{cut}");
        }
        assert!(essential(whole[..whole.len() - 4].into()).is_ok(), "only the offset of the next page is missing");
        let far = [b"II*\0".as_slice(), &[0xff; 4], &whole].concat();
        assert!(essential(far.into()).is_err());
    }
}
