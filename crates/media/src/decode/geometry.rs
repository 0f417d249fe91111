//! Geometry of an image after color conversion: cut, stretched, flipped and turned, in this order.

use super::stretch::{Stretch, scale_width};
use crate::container::track::{Crop, Orientation};
use crate::frame::Rgb;

/// How a decoded image becomes a shown one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// What the container cuts off. An image that is too small for it stays whole.
    pub(crate) crop: Crop,
    /// Display of samples that are not square; `None` leaves them as they are stored.
    pub(crate) stretch: Option<Stretch>,
    /// Flip and turn.
    pub(crate) orientation: Orientation,
}

impl Geometry {
    /// Size after the cut, and size as shown, of a decoded image of `size`.
    pub(crate) fn sizes(self, size: (u32, u32)) -> [(u32, u32); 2] {
        let (w, h) = self.crop.size(size).unwrap_or(size);
        [(w, h), self.orientation.turned((self.stretch.map_or(w, |stretch| stretch.width((w, h))), h))]
    }

    /// Cuts, stretches, flips and turns `image`.
    pub(super) fn apply(self, image: Rgb) -> Rgb {
        let size = (image.width, image.height);
        let [cut, _] = self.sizes(size);
        let width = self.stretch.map_or(cut.0, |stretch| stretch.width(cut));
        if width == cut.0 {
            return self.move_pixels(image);
        }
        let cut = Geometry { crop: self.crop, ..Geometry::default() }.move_pixels(image);
        Geometry { orientation: self.orientation, ..Geometry::default() }.move_pixels(scale_width(&cut, width))
    }

    /// Cuts, flips and turns `image`.
    fn move_pixels(self, image: Rgb) -> Rgb {
        if (self.crop, self.orientation) == Default::default() {
            return image;
        }
        let size = (image.width, image.height);
        let crop = if self.crop.size(size).is_some() { self.crop } else { Crop::default() };
        let (w, h) = crop.size(size).unwrap_or(size);
        let (width, height) = self.orientation.turned((w, h));
        let stride = size.0 as usize * 3;
        let mut data = vec![0u8; width as usize * height as usize * 3];
        // The pixel (x, y) of the cut image goes to `start + x * step_x + y * step_y`, in pixels of the shown one.
        let (start, step_x, step_y) = steps(self.orientation, w as usize, h as usize);
        for y in 0..h as usize {
            let from = (y + crop.top as usize) * stride + crop.left as usize * 3;
            let row = &image.data[from..from + w as usize * 3];
            let mut to = start.wrapping_add_signed(step_y * y as isize);
            for pixel in row.chunks_exact(3) {
                data[to * 3..to * 3 + 3].copy_from_slice(pixel);
                to = to.wrapping_add_signed(step_x);
            }
        }
        Rgb { width, height, data }
    }
}

/// Where the first pixel of a `w` by `h` image goes, and the steps for one pixel to the right and one down.
fn steps(orientation: Orientation, w: usize, h: usize) -> (usize, isize, isize) {
    let (columns, rows) = (w as isize, h as isize);
    let (start, step_x, step_y) = match orientation.rotation {
        90 => (h - 1, rows, -1),
        180 => (w * h - 1, -1, -columns),
        270 => ((w - 1) * h, -rows, 1),
        _ => (0, 1, columns),
    };
    // A flip starts at the other end of the first row and walks back.
    let mirrored = (start.wrapping_add_signed(step_x * (columns - 1)), -step_x, step_y);
    if orientation.mirrored { mirrored } else { (start, step_x, step_y) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image whose red channel is `10 * row + column`.
    fn numbered(width: u8, height: u8) -> Rgb {
        let data = (0..height).flat_map(|y| (0..width).flat_map(move |x| [10 * y + x, 0, 7])).collect();
        Rgb { width: width.into(), height: height.into(), data }
    }

    fn reds(image: &Rgb) -> Vec<u8> {
        assert!(image.data.chunks(3).all(|p| p[2] == 7));
        image.data.chunks(3).map(|p| p[0]).collect()
    }

    fn oriented(mirrored: bool, rotation: u16) -> Geometry {
        Geometry { orientation: Orientation { mirrored, rotation }, ..Geometry::default() }
    }

    #[test]
    fn all_eight_orientations() {
        for (mirrored, rotation, size, expected) in [
            (false, 0, (3, 2), [0, 1, 2, 10, 11, 12]),
            (false, 90, (2, 3), [10, 0, 11, 1, 12, 2]),
            (false, 180, (3, 2), [12, 11, 10, 2, 1, 0]),
            (false, 270, (2, 3), [2, 12, 1, 11, 0, 10]),
            (true, 0, (3, 2), [2, 1, 0, 12, 11, 10]),
            (true, 90, (2, 3), [12, 2, 11, 1, 10, 0]),
            (true, 180, (3, 2), [10, 11, 12, 0, 1, 2]),
            (true, 270, (2, 3), [0, 10, 1, 11, 2, 12]),
        ] {
            let geometry = oriented(mirrored, rotation);
            let image = geometry.apply(numbered(3, 2));
            assert_eq!((image.width, image.height), size, "{geometry:?}");
            assert_eq!(geometry.sizes((3, 2)), [(3, 2), size]);
            assert_eq!(reds(&image), expected, "{geometry:?}");
        }
    }

    #[test]
    fn the_cut_comes_before_the_turn() {
        let crop = Crop { left: 1, top: 0, right: 2, bottom: 1 };
        let geometry = Geometry { crop, ..oriented(false, 90) };
        let image = geometry.apply(numbered(5, 3));
        assert_eq!(geometry.sizes((5, 3)), [(2, 2), (2, 2)]);
        assert_eq!(reds(&image), [11, 1, 12, 2]);
        let plain = Geometry { crop, ..Geometry::default() };
        assert_eq!(reds(&plain.apply(numbered(5, 3))), [1, 2, 11, 12]);
        let stretch = Some(Stretch { sample_aspect: (3, 1), max_pixels: 100 });
        let stretched = Geometry { stretch, ..geometry };
        assert_eq!(stretched.sizes((5, 3)), [(2, 2), (2, 6)]);
        assert_eq!(reds(&stretched.apply(numbered(5, 3))), [11, 1, 11, 1, 11, 1, 12, 2, 12, 2, 12, 2]);
        // An image that the cut would leave nothing of stays whole.
        assert_eq!(plain.apply(numbered(3, 3)), numbered(3, 3));
    }
}
