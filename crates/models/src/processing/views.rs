//! Views of frames: canvas, resize, window; as a picture, or written straight into patches.
//!
//! A plan is for frames of one size. A frame of another size keeps its own shape: it is resized to fit in the middle of
//! the canvas as the planned frame does, with bars of the family's background color where it leaves room.

use zoetrope_kernels::image::resize::{Filter, Order as PassOrder, resize, resize_rows};
use zoetrope_media::Rgb;

use crate::contract::media_plan::{View, Window};
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

/// Most pixels of a canvas that is made before it is resized. On a larger one, of a very long picture, the frame is
/// resized alone, which differs at its edges only.
const CANVAS_PIXELS: u64 = 1 << 27;

/// The view of `frame` as a picture of the window's size. The view was made for frames of `planned` size (width,
/// height).
///
/// # Errors
/// [`ModelError::Caller`] for a frame without pixels.
pub fn view_image(view: &View, planned: (u32, u32), frame: &Rgb, how: Resample) -> ModelResult<Rgb> {
    let canvas = u64::from(view.canvas.0) * u64::from(view.canvas.1);
    if pixels(frame)? != planned || canvas > CANVAS_PIXELS {
        return Ok(cut(view, letterbox(view, planned, frame, how)?, how.background));
    }
    let padded = pad(view, frame, how.background)?;
    let source = padded.as_ref().unwrap_or(frame);
    let (width, height) = view.resized;
    let data = resize(&source.data, source.width, source.height, width, height, how.filter, how.order)
        .map_err(|error| ModelError::Bug(error.to_string()))?;
    Ok(cut(view, Rgb { width, height, data }, how.background))
}

/// [`view_image`] of each of `views`, in order. What several views are windows of is resized once.
///
/// # Errors
/// As [`view_image`].
pub fn view_images(views: &[View], planned: (u32, u32), frame: &Rgb, how: Resample) -> ModelResult<Vec<Rgb>> {
    let mut images = Vec::with_capacity(views.len());
    let mut rest = views;
    while let Some(first) = rest.first() {
        let shares = |view: &&View| (view.canvas, view.resized) == (first.canvas, first.resized);
        let (own, others) = rest.split_at(rest.iter().take_while(shares).count());
        let (width, height) = first.resized;
        let whole = View { window: Window { left: 0, top: 0, width, height }, ..*first };
        let resized = view_image(&whole, planned, frame, how)?;
        images.extend(own.iter().map(|view| place_window(view, &resized, how.background)));
        rest = others;
    }
    Ok(images)
}

/// Gives the rows of the view to `write`, `band` rows of pixels at a time, each with its part of `out`. Where the view
/// is the whole frame, the resized picture never lies in memory. `planned` is as in [`view_image`].
///
/// # Errors
/// [`ModelError::Caller`] for a frame without pixels.
pub fn write_view_patches(
    view: &View,
    planned: (u32, u32),
    frame: &Rgb,
    how: Resample,
    band: usize,
    out: &mut [f32],
    write: impl Fn(&[u8], &mut [f32]) + Sync,
) -> ModelResult<()> {
    let window = view.window;
    let whole = (window.left, window.top, (window.width, window.height)) == (0, 0, view.resized);
    let size = pixels(frame)?;
    if whole && size == planned && size == view.canvas {
        return resize_rows(&frame.data, size, out, view.resized, how.filter, how.order, band, write)
            .map_err(|error| ModelError::Bug(error.to_string()));
    }
    let image = view_image(view, planned, frame, how)?;
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

/// The resized canvas with a frame of another size than the planned one in its middle, in its own shape.
fn letterbox(view: &View, planned: (u32, u32), frame: &Rgb, how: Resample) -> ModelResult<Rgb> {
    let sides = |size: (u32, u32)| [f64::from(size.0.max(1)), f64::from(size.1.max(1))];
    let (canvas, resized) = (sides(view.canvas), sides(view.resized));
    // How much larger a picture may become until it touches two edges of the canvas.
    let room = |size: [f64; 2]| (canvas[0] / size[0]).min(canvas[1] / size[1]);
    let own = sides((frame.width, frame.height));
    let scale = room(own) / room(sides(planned));
    let side = |n: usize| (own[n] * scale * resized[n] / canvas[n]).round().clamp(1.0, resized[n]) as u32;
    let (width, height) = (side(0), side(1));
    let data = resize(&frame.data, frame.width, frame.height, width, height, how.filter, how.order)
        .map_err(|error| ModelError::Bug(error.to_string()))?;
    let offset = [(view.resized.0, width), (view.resized.1, height)].map(|(all, own)| i64::from(all - own) / 2);
    Ok(place(&Rgb { width, height, data }, (offset[0], offset[1]), view.resized, how.background))
}

/// The view's window of the resized canvas.
fn cut(view: &View, image: Rgb, background: [u8; 3]) -> Rgb {
    let window = view.window;
    if (window.left, window.top, window.width, window.height) == (0, 0, image.width, image.height) {
        return image;
    }
    place_window(view, &image, background)
}

/// The view's window of the resized canvas, as a picture of its own.
fn place_window(view: &View, image: &Rgb, background: [u8; 3]) -> Rgb {
    let window = view.window;
    let offset = (-i64::from(window.left), -i64::from(window.top));
    place(image, offset, (window.width, window.height), background)
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

    /// 4 x 2 pixels that count from 1.
    fn frame() -> Rgb {
        Rgb { width: 4, height: 2, data: (1..=8).flat_map(|n| [n; 3]).collect() }
    }

    fn shown(canvas: (u32, u32), window: Window) -> Vec<u8> {
        let view = View { canvas, resized: canvas, window, grid: (1, 1) };
        let how = Resample { filter: Filter::Bicubic, order: PassOrder::HorizontalFirst, background: [9; 3] };
        let image = view_image(&view, (4, 2), &frame(), how).unwrap();
        assert_eq!((image.width, image.height), (window.width, window.height));
        let mut written = vec![0.0; image.data.len()];
        let copy = |rows: &[u8], out: &mut [f32]| rows.iter().zip(out).for_each(|(byte, out)| *out = f32::from(*byte));
        write_view_patches(&view, (4, 2), &frame(), how, 1, &mut written, copy).unwrap();
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

    /// A gray picture of this size in a view of a planned size: where it is not background (left, top, right, bottom).
    fn box_of(size: (u32, u32), planned: (u32, u32), canvas: (u32, u32), resized: (u32, u32)) -> [u32; 4] {
        let frame = Rgb { width: size.0, height: size.1, data: vec![200; (size.0 * size.1 * 3) as usize] };
        let view = View { canvas, ..View::whole(planned, resized, (1, 1)) };
        let how = Resample { filter: Filter::Bicubic, order: PassOrder::HorizontalFirst, background: [9; 3] };
        let image = view_image(&view, planned, &frame, how).unwrap();
        assert_eq!((image.width, image.height), resized);
        let shown = |n: &u32| image.data[*n as usize * 3] > 100;
        let all: Vec<u32> = (0..resized.0 * resized.1).filter(shown).collect();
        let (columns, rows) = (all.iter().map(|n| n % resized.0), all.iter().map(|n| n / resized.0));
        let edges = [columns.clone().min(), rows.clone().min(), columns.max(), rows.max()].map(Option::unwrap);
        assert_eq!(all.len() as u32, (edges[2] - edges[0] + 1) * (edges[3] - edges[1] + 1));
        [edges[0], edges[1], edges[2] + 1, edges[3] + 1]
    }

    #[test]
    fn frames_of_another_size_keep_their_shape() {
        let planned = (320, 240);
        let whole = |size| box_of(size, planned, planned, (160, 120));
        assert_eq!(whole((320, 240)), [0, 0, 160, 120]);
        // Smaller or larger in the shape of the plan: no bars.
        assert_eq!((whole((80, 60)), whole((640, 480))), ([0, 0, 160, 120], [0, 0, 160, 120]));
        // Portrait: bars at both sides. Wide: above and below.
        assert_eq!(whole((240, 320)), [35, 0, 125, 120]);
        assert_eq!(whole((400, 100)), [0, 40, 160, 80]);
        assert_eq!(whole((1, 5000)), [79, 0, 80, 120]);
        // A square canvas has room for more of a portrait frame than the planned frame's own rectangle.
        let square = |size| box_of(size, planned, (320, 320), (160, 160));
        assert_eq!((square((320, 240)), square((240, 320))), ([0, 20, 160, 140], [20, 0, 140, 160]));
        // The canvas of a long picture would have 10 billion pixels.
        assert_eq!(box_of((100_000, 2), (100_000, 2), (100_000, 100_000), (64, 64)), [0, 31, 64, 32]);
        // A frame that its family gives a border all around keeps it at every size.
        let bordered = |size| box_of(size, planned, (640, 480), (160, 120));
        assert_eq!((bordered((320, 240)), bordered((80, 60))), ([40, 30, 120, 90], [40, 30, 120, 90]));
    }
}
