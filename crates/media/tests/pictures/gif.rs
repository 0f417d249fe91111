//! GIF: a screen without a size, and transparency.

use image::codecs::gif::GifEncoder;
use image::{Delay, Frame, Rgba, RgbaImage};
use zoetrope_media::Alpha;

use super::maker::{CLEAR, RED, error, frames, open, open_without_alpha};

/// A GIF of frames of 4x3 pixels.
fn gif(colors: &[[u8; 4]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for color in colors {
        let mut image = RgbaImage::from_pixel(4, 3, Rgba(*color));
        image.put_pixel(0, 0, Rgba(RED));
        encoder.encode_frame(Frame::from_parts(image, 0, 0, Delay::from_numer_denom_ms(100, 1))).unwrap();
    }
    drop(encoder);
    bytes
}

#[test]
fn a_screen_of_no_size_takes_that_of_the_first_frame() {
    let mut file = gif(&[RED, RED]);
    let whole = frames(&open(&file));
    file[6..10].fill(0);
    let clip = open(&file);
    assert_eq!((clip.width(), clip.height(), clip.times().len()), (4, 3, 2));
    assert_eq!(frames(&clip)[1].image, whole[1].image);
    // Without any frame there is nothing to take the size from.
    let error = error(b"GIF89a\0\0\0\0\0\0\0;").to_string();
    assert!(error.starts_with("malformed"), "{error}");
}

#[test]
fn a_transparent_color_shows_the_background() {
    let file = gif(&[CLEAR]);
    let clip = open(&file);
    assert_eq!(clip.info().alpha, Some(Alpha::Over([255; 3])));
    let data = &frames(&clip)[0].image.data;
    assert_eq!((&data[..3], &data[3..6]), ([255, 0, 0].as_slice(), [255; 3].as_slice()));
    let data = &frames(&open_without_alpha(&file))[0].image.data;
    assert_eq!(data[3..6], [0; 3]);
    assert_eq!(open(&gif(&[RED])).info().alpha, None);
}
