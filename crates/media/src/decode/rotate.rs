//! Rotation of an image by quarter turns, after color conversion.

use crate::frame::Rgb;

/// Rotates `image` clockwise by 0, 90, 180 or 270 degrees. Any other number leaves it as it is.
pub(super) fn rotate(image: Rgb, degrees: u16) -> Rgb {
    match degrees {
        90 => move_pixels(&image, |x, y, _, h| (h - 1 - y, x), true),
        180 => move_pixels(&image, |x, y, w, h| (w - 1 - x, h - 1 - y), false),
        270 => move_pixels(&image, |x, y, w, _| (y, w - 1 - x), true),
        _ => image,
    }
}

/// Moves every pixel `(x, y)` of a `w` by `h` image to `place(x, y, w, h)`. `swap` exchanges width and height.
fn move_pixels(image: &Rgb, place: impl Fn(usize, usize, usize, usize) -> (usize, usize), swap: bool) -> Rgb {
    let (w, h) = (image.width as usize, image.height as usize);
    let (width, height) = if swap { (image.height, image.width) } else { (image.width, image.height) };
    let mut data = vec![0u8; image.data.len()];
    for (y, row) in image.data.chunks_exact(w.max(1) * 3).enumerate() {
        for (x, pixel) in row.chunks_exact(3).enumerate() {
            let (to_x, to_y) = place(x, y, w, h);
            let at = (to_y * width as usize + to_x) * 3;
            data[at..at + 3].copy_from_slice(pixel);
        }
    }
    Rgb { width, height, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 3x2 image whose red channel is `10 * row + column`.
    fn numbered() -> Rgb {
        let data = (0..2u8).flat_map(|y| (0..3u8).flat_map(move |x| [10 * y + x, 0, 7])).collect();
        Rgb { width: 3, height: 2, data }
    }

    fn reds(image: &Rgb) -> Vec<u8> {
        image.data.chunks(3).map(|p| p[0]).collect()
    }

    #[test]
    fn quarter_turns_are_clockwise() {
        let rotated = rotate(numbered(), 90);
        assert_eq!((rotated.width, rotated.height), (2, 3));
        assert_eq!(reds(&rotated), [10, 0, 11, 1, 12, 2]);
        assert_eq!(reds(&rotate(numbered(), 180)), [12, 11, 10, 2, 1, 0]);
        let rotated = rotate(numbered(), 270);
        assert_eq!((rotated.width, rotated.height), (2, 3));
        assert_eq!(reds(&rotated), [2, 12, 1, 11, 0, 10]);
        assert!(rotated.data.chunks(3).all(|p| p[2] == 7));
    }

    #[test]
    fn four_quarter_turns_give_the_image_back() {
        let mut image = numbered();
        for _ in 0..4 {
            image = rotate(image, 90);
        }
        assert_eq!(image, numbered());
    }
}
