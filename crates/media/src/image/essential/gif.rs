//! GIF: its blocks, and those that its frames need.

use std::ops::Range;
use std::sync::Arc;

use super::kept::keep;

/// The first byte of an image.
pub(in super::super) const IMAGE: u8 = 0x2c;
/// The first byte of an extension.
const EXTENSION: u8 = 0x21;
/// The second byte of the extension that says how a frame is shown.
const CONTROL: u8 = 0xf9;

/// An image or an extension.
pub(in super::super) struct Block {
    /// Where it lies, with its sub-blocks, cut at the end of the file.
    pub(in super::super) range: Range<usize>,
    /// Whether it is an extension that says how a frame is shown.
    pub(in super::super) is_control: bool,
}

/// The blocks of the file up to its trailer.
pub(in super::super) fn blocks(bytes: &[u8]) -> impl Iterator<Item = Block> + '_ {
    let mut at = start(bytes);
    std::iter::from_fn(move || {
        let (start, kind) = (at, *bytes.get(at)?);
        let is_control = kind == EXTENSION && bytes.get(at + 1..at + 3) == Some(&[CONTROL, 4]);
        at += match kind {
            EXTENSION => 2,
            IMAGE => 11 + color_table_bytes(*bytes.get(at + 9)?),
            _ => return None,
        };
        // Sub-blocks: a length byte and as many bytes, up to a length of 0.
        while let Some(&length) = bytes.get(at) {
            at += 1 + usize::from(length);
            if length == 0 {
                break;
            }
        }
        at = at.min(bytes.len());
        // One sub-block of 4 bytes, and the end.
        Some(Block { range: start..at, is_control: is_control && at - start <= 8 })
    })
}

/// Where the first block is.
fn start(bytes: &[u8]) -> usize {
    13 + bytes.get(10).map_or(0, |&flags| color_table_bytes(flags))
}

/// Bytes of the color table that these flags announce.
fn color_table_bytes(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// The file with the images and how they are shown, without other extensions: comments, text, profiles.
pub(super) fn essential(bytes: Arc<[u8]>) -> Arc<[u8]> {
    let mut at = start(&bytes).min(bytes.len());
    let mut kept = vec![Range { start: 0, end: at }];
    for block in blocks(&bytes) {
        at = block.range.end;
        if bytes[block.range.start] == IMAGE || block.is_control {
            match kept.last_mut() {
                Some(last) if last.end == block.range.start => last.end = at,
                _ => kept.push(block.range),
            }
        }
    }
    // The trailer, or what is no block and ends the animation.
    kept.push(at..bytes.len());
    keep(bytes, &kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_frames_need_is_kept() {
        let head = [b"GIF89a\x02\0\x02\0\x80\0\0".as_slice(), &[9; 6]].concat();
        let control = [EXTENSION, CONTROL, 4, 1, 2, 0, 3, 0];
        let image = [IMAGE, 0, 0, 0, 0, 2, 0, 2, 0, 0, 2, 2, 0x44, 1, 0];
        let comment = [EXTENSION, 0xfe, 3, b'a', b'b', b'c', 1, b'd', 0];
        let looped = [&[EXTENSION, 0xff, 11], b"NETSCAPE2.0".as_slice(), &[3, 1, 0, 0, 0]].concat();
        let endless = [&[EXTENSION, CONTROL, 4, 1, 2, 0, 3, 200], [7; 200].as_slice(), &[0]].concat();
        let parts = [&head[..], &looped, &comment, &control, &image, &endless, &comment, &control, &image, &[0x3b]];
        let without: Arc<[u8]> = [&head[..], &control, &image, &control, &image, &[0x3b]].concat().into();
        assert_eq!(essential(parts.concat().into()), without);
        assert!(Arc::ptr_eq(&essential(without.clone()), &without), "nothing is copied");
        for cut in 0..without.len() {
            assert!(without[..cut].starts_with(&essential(without[..cut].into())), "a cut extension may be missing");
        }
    }
}
