//! A frame of an animation before it is decoded.

use std::ops::Range;

use super::canvas::{Blend, Dispose, Rect};
use crate::error::{MediaError, malformed};

/// One frame of an APNG or an animated WebP.
#[derive(Clone, Debug)]
pub(in super::super) struct CodedFrame {
    pub(super) rect: Rect,
    pub(super) blend: Blend,
    pub(super) dispose: Dispose,
    /// Milliseconds as a fraction.
    pub(in super::super) delay: (u32, u32),
    /// Byte ranges of its image data in the file, in order: whole chunks of a WebP, contents of chunks of a PNG.
    pub(super) data: Vec<Range<usize>>,
}

/// Checks that a frame has pixels and lies on the canvas.
///
/// # Errors
/// `Malformed` with the number of the frame, its rectangle and the size of the canvas.
pub(super) fn check_rect(frame: usize, rect: Rect, size: (u32, u32)) -> Result<(), MediaError> {
    let Rect { x, y, width, height } = rect;
    let inside = |at: u32, length: u32, all: u32| length > 0 && at.checked_add(length).is_some_and(|end| end <= all);
    if inside(x, width, size.0) && inside(y, height, size.1) {
        return Ok(());
    }
    let (all_x, all_y) = size;
    let what = format!("frame {frame} ({width}x{height} at {x}, {y}) is not inside its {all_x}x{all_y} pixels");
    Err(malformed("animation", what))
}

/// Whether an opaque animation shows its canvas, which is transparent: around the first frame, or where a frame is
/// cleared.
pub(super) fn shows_canvas(frames: &[CodedFrame], (width, height): (u32, u32)) -> bool {
    let all = Rect { x: 0, y: 0, width, height };
    frames.first().is_some_and(|first| first.rect != all) || frames.iter().any(|f| f.dispose == Dispose::Background)
}
