//! GIF: the screen size where the file leaves it out, and whether it has a transparent color.

use std::io::Cursor;
use std::sync::Arc;

use image::AnimationDecoder;
use image::ImageDecoder;
use image::codecs::gif::GifDecoder;

use super::super::essential::gif::{IMAGE, blocks};
use super::super::still::explain;
use crate::error::MediaError;

/// The frames of a GIF as its screen shows them.
pub(in super::super) fn frames(
    bytes: &Arc<[u8]>,
    limits: &image::Limits,
) -> Result<image::Frames<'static>, MediaError> {
    let mut decoder = GifDecoder::new(Cursor::new(bytes.clone())).map_err(explain)?;
    decoder.set_limits(limits.clone()).map_err(explain)?;
    Ok(decoder.into_frames())
}

/// What the blocks of a GIF say before any pixel is decoded.
struct Blocks {
    /// Left, upper, right and lower edge of the first frame in pixels.
    first_frame: Option<[u16; 4]>,
    /// Whether any frame has a transparent color.
    transparent: bool,
}

/// Gives a screen of 0 columns or rows the size of the first frame, as browsers do.
pub(in super::super) fn with_screen(bytes: Arc<[u8]>) -> Arc<[u8]> {
    let no_size = |at: usize| bytes.get(at..at + 2).is_some_and(|field| field == [0, 0]);
    if !no_size(6) && !no_size(8) {
        return bytes;
    }
    let Some([.., width, height]) = read_blocks(&bytes).first_frame else { return bytes };
    let mut mended = bytes.to_vec();
    for (at, size) in [(6, width), (8, height)] {
        if no_size(at) {
            mended[at..at + 2].copy_from_slice(&size.to_le_bytes());
        }
    }
    mended.into()
}

/// Whether any frame has a transparent color, or the first one leaves a part of the screen (`size`) empty.
pub(in super::super) fn is_transparent(bytes: &[u8], size: (u32, u32)) -> bool {
    let blocks = read_blocks(bytes);
    let covers = |[left, top, right, bottom]: [u16; 4]| {
        (left, top) == (0, 0) && u32::from(right) >= size.0 && u32::from(bottom) >= size.1
    };
    blocks.transparent || !blocks.first_frame.is_some_and(covers)
}

fn read_blocks(bytes: &[u8]) -> Blocks {
    let mut summary = Blocks { first_frame: None, transparent: false };
    for block in blocks(bytes) {
        let head = &bytes[block.range];
        if block.is_control {
            summary.transparent |= head.get(3).is_some_and(|flags| flags & 1 != 0);
        } else if let Some(image) = head.get(1..9).filter(|_| head[0] == IMAGE) {
            let field = |at: usize| u16::from_le_bytes([image[at], image[at + 1]]);
            let (left, top) = (field(0), field(2));
            let edges = [left, top, left.saturating_add(field(4)), top.saturating_add(field(6))];
            summary.first_frame = summary.first_frame.or(Some(edges));
        }
    }
    summary
}
