//! Views of frames: canvas, resize, window; as a picture, or written straight into patches.

use zoetrope_kernels::image::resize::{Filter, Order as PassOrder, resize, resize_rows};
use zoetrope_media::Rgb;

use crate::contract::media_plan::View;
use crate::error::{ModelError, ModelResult};

/// How pixels are resampled, and what surrounds them.
#[derive(Clone, Copy, Debug)]
pub struct Resample {
    /// The filter.
    pub filter: Filter,
    /// Whose order of passes and rounding.
    pub order: PassOrder,
    /// Color of what lies beyond the frame.
    pub background: [u8; 3],
}

/// The view of `frame` as a picture of the window's size.
///
/// # Errors
/// [`ModelError::Caller`] for a frame without pixels.
pub fn view_image(view: &View, frame: &Rgb, how: Resample) -> ModelResult<Rgb> {
    let padded = pad(view, frame, how.background)?;
    let source = padded.as_ref().unwrap_or(frame);
    let (width, height) = view.resized;
    let data = resize(&source.data, source.width, source.height, width, height, how.filter, how.order)
        .map_err(|error| ModelError::Bug(error.to_string()))?;
    Ok(cut(view, Rgb { width, height, data }, how.background))
}

/// Gives the rows of the view to `write`, `band` rows of pixels at a time, each with its part of `out`. Where the view
/// is the whole frame, the resized picture never lies in memory.
///
/// # Errors
/// [`ModelError::Caller`] for a frame without pixels.
pub fn write_view_patches(
    view: &View,
    frame: &Rgb,
    how: Resample,
    band: usize,
    out: &mut [f32],
    write: impl Fn(&[u8], &mut [f32]) + Sync,
) -> ModelResult<()> {
    let window = view.window;
    let whole = (window.left, window.top, (window.width, window.height)) == (0, 0, view.resized);
    if whole && view.canvas == (frame.width, frame.height) {
        let size = pixels(frame)?;
        return resize_rows(&frame.data, size, out, view.resized, how.filter, how.order, band, write)
            .map_err(|error| ModelError::Bug(error.to_string()));
    }
    let image = view_image(view, frame, how)?;
    let bands = image.data.chunks(band * image.width as usize * 3);
    let values = out.len() / bands.len().max(1);
    bands.zip(out.chunks_mut(values.max(1))).for_each(|(rows, out)| write(rows, out));
    Ok(())
}

/// Width and height of a frame that shows something.
fn pixels(frame: &Rgb) -> ModelResult<(u32, u32)> {
    if frame.width == 0 || frame.height == 0 {
        return Err(ModelError::Caller("a frame without pixels".to_string()));
    }
    Ok((frame.width, frame.height))
}

/// The frame in the middle of the view's canvas; `None` when the canvas is the frame.
fn pad(view: &View, frame: &Rgb, background: [u8; 3]) -> ModelResult<Option<Rgb>> {
    let (width, height) = pixels(frame)?;
    if view.canvas == (width, height) {
        return Ok(None);
    }
    let left = (i64::from(view.canvas.0) - i64::from(width)) / 2;
    let top = (i64::from(view.canvas.1) - i64::from(height)) / 2;
    Ok(Some(place(frame, (left, top), view.canvas, background)))
}

/// The view's window of the resized canvas.
fn cut(view: &View, image: Rgb, background: [u8; 3]) -> Rgb {
    let window = view.window;
    if (window.left, window.top, window.width, window.height) == (0, 0, image.width, image.height) {
        return image;
    }
    let offset = (-i64::from(window.left), -i64::from(window.top));
    place(&image, offset, (window.width, window.height), background)
}

/// A picture of `size` with `image` at `offset` (left, top), as far as it fits.
fn place(image: &Rgb, offset: (i64, i64), size: (u32, u32), background: [u8; 3]) -> Rgb {
    let (width, height) = (size.0 as usize, size.1 as usize);
    let mut data = background.repeat(width * height);
    let (from, to) = ((-offset.0).max(0), offset.0.max(0));
    let columns = (i64::from(image.width) - from).min(width as i64 - to).max(0) as usize;
    for row in 0..height {
        let source = row as i64 - offset.1;
        if columns == 0 || source < 0 || source >= i64::from(image.height) {
            continue;
        }
        let start = (source as usize * image.width as usize + from as usize) * 3;
        let at = (row * width + to as usize) * 3;
        data[at..at + 3 * columns].copy_from_slice(&image.data[start..start + 3 * columns]);
    }
    Rgb { width: size.0, height: size.1, data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::media_plan::Window;

    /// 4 x 2 pixels that count from 1.
    fn frame() -> Rgb {
        Rgb { width: 4, height: 2, data: (1..=8).flat_map(|n| [n; 3]).collect() }
    }

    fn shown(canvas: (u32, u32), window: Window) -> Vec<u8> {
        let view = View { canvas, resized: canvas, window, grid: (1, 1) };
        let how = Resample { filter: Filter::Bicubic, order: PassOrder::HorizontalFirst, background: [9; 3] };
        let image = view_image(&view, &frame(), how).unwrap();
        assert_eq!((image.width, image.height), (window.width, window.height));
        let mut written = vec![0.0; image.data.len()];
        let copy = |rows: &[u8], out: &mut [f32]| rows.iter().zip(out).for_each(|(byte, out)| *out = f32::from(*byte));
        write_view_patches(&view, &frame(), how, 1, &mut written, copy).unwrap();
        assert_eq!(written, image.data.iter().map(|&n| f32::from(n)).collect::<Vec<_>>());
        image.data.chunks(3).map(|pixel| pixel[0]).collect()
    }

    #[test]
    fn a_frame_is_padded_resized_and_cut() {
        let window = |left, top, width, height| Window { left, top, width, height };
        assert_eq!(shown((4, 2), window(0, 0, 4, 2)), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(shown((4, 2), window(1, 0, 2, 2)), [2, 3, 6, 7]);
        assert_eq!(shown((4, 2), window(-1, 1, 3, 2)), [9, 5, 6, 9, 9, 9]);
        assert_eq!(shown((4, 4), window(0, 0, 4, 4)), [9, 9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9]);
    }
}
