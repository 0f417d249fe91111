//! Transparency: what becomes of the alpha channel when a picture is given out as RGB.

use image::DynamicImage;

use crate::frame::Rgb;
use crate::options::Alpha;

/// Converts a decoded picture to RGB.
///
/// Pictures of 8-bit RGB and RGBA are converted in their own memory.
pub(super) fn to_rgb(image: DynamicImage, alpha: Alpha) -> Rgb {
    let (width, height) = (image.width(), image.height());
    let data = match (image.color().has_alpha(), alpha) {
        (false, _) => image.into_rgb8().into_raw(),
        (true, Alpha::Over(background)) => {
            keep_three_of_four(image.into_rgba8().into_raw(), |pixel| over(pixel, background))
        }
        (true, Alpha::Drop) => keep_three_of_four(image.into_rgba8().into_raw(), |[r, g, b, _]| [r, g, b]),
    };
    Rgb { width, height, data }
}

/// Composites a picture over a background by an alpha channel that is a picture of its own (its red values). A channel
/// of another size is stretched over the picture. `premultiplied` says that the colors already carry alpha.
pub(super) fn composite(rgb: &mut Rgb, channel: &Rgb, background: [u8; 3], premultiplied: bool) {
    let (width, height) = (rgb.width as usize, rgb.height as usize);
    let (columns, rows) = (channel.width as usize, channel.height as usize);
    for (y, row) in rgb.data.chunks_exact_mut(width * 3).enumerate() {
        let line = &channel.data[y * rows / height * columns * 3..][..columns * 3];
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let alpha = line[x * columns / width * 3];
            let [r, g, b] = if premultiplied {
                let [r, g, b] = over([0, 0, 0, alpha], background);
                [r.saturating_add(pixel[0]), g.saturating_add(pixel[1]), b.saturating_add(pixel[2])]
            } else {
                over([pixel[0], pixel[1], pixel[2], alpha], background)
            };
            pixel.copy_from_slice(&[r, g, b]);
        }
    }
}

/// Composites a pixel of straight (not premultiplied) alpha over an opaque background. Rounded as Pillow's
/// `paste(image, mask=alpha)` does.
fn over([r, g, b, alpha]: [u8; 4], background: [u8; 3]) -> [u8; 3] {
    let alpha = u32::from(alpha);
    let mix = |color: u8, ground: u8| {
        let sum = u32::from(color) * alpha + u32::from(ground) * (255 - alpha) + 128;
        ((sum + (sum >> 8)) >> 8) as u8
    };
    [mix(r, background[0]), mix(g, background[1]), mix(b, background[2])]
}

/// Turns pixels of four bytes into pixels of three bytes in place.
fn keep_three_of_four(mut data: Vec<u8>, pixel: impl Fn([u8; 4]) -> [u8; 3]) -> Vec<u8> {
    let pixels = data.len() / 4;
    for i in 0..pixels {
        let four = [data[4 * i], data[4 * i + 1], data[4 * i + 2], data[4 * i + 3]];
        data[3 * i..3 * i + 3].copy_from_slice(&pixel(four));
    }
    data.truncate(pixels * 3);
    data
}

#[cfg(test)]
mod tests {
    use image::{GrayAlphaImage, ImageBuffer, LumaA, RgbaImage};

    use super::*;

    const WHITE: Alpha = Alpha::Over([255; 3]);

    #[test]
    fn transparent_pixels_show_the_background_and_half_of_it_shows_half() {
        let rgba = RgbaImage::from_raw(4, 1, vec![0, 0, 0, 0, 0, 0, 0, 255, 200, 100, 0, 128, 9, 8, 7, 1]).unwrap();
        let image = DynamicImage::ImageRgba8(rgba);
        let white = [255, 255, 255, 0, 0, 0, 227, 177, 127, 254, 254, 254];
        assert_eq!(to_rgb(image.clone(), WHITE).data, white);
        assert_eq!(to_rgb(image.clone(), Alpha::Over([0, 0, 255])).data[..6], [0, 0, 255, 0, 0, 0]);
        assert_eq!(to_rgb(image, Alpha::Drop).data, [0, 0, 0, 0, 0, 0, 200, 100, 0, 9, 8, 7]);
    }

    #[test]
    fn gray_and_16_bit_pictures_are_composited_too() {
        let gray = GrayAlphaImage::from_fn(2, 1, |x, _| LumaA([0, if x == 0 { 0 } else { 255 }]));
        assert_eq!(to_rgb(DynamicImage::ImageLumaA8(gray), WHITE).data, [255, 255, 255, 0, 0, 0]);
        let deep = ImageBuffer::from_raw(2, 1, vec![0u16, 0, 0, 0, 65535, 0, 0, 65535]).unwrap();
        assert_eq!(to_rgb(DynamicImage::ImageRgba16(deep), WHITE).data, [255, 255, 255, 255, 0, 0]);
    }
}
