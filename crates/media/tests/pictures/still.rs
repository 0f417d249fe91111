//! Still pictures: size limits, and the formats that have one picture and little else.

use image::{DynamicImage, ImageFormat, RgbImage};
use zoetrope_media::{Limits, MediaError, OpenOptions, open_bytes};

use super::maker::{CLEAR, RED, encode, error, frames, open, options, pixels, plain};

#[test]
fn the_limit_counts_the_bytes_of_decoded_pixels() {
    let opened = |image: &image::DynamicImage, picture_bytes: u64| {
        let limits = Limits { picture_bytes, pixels: 1, ..Limits::default() };
        open_bytes("picture", encode(image, ImageFormat::Png), &OpenOptions { limits, ..options() }).map(|_| ())
    };
    let rgba = plain(10, 10, RED);
    let (rgb, gray) = (rgba.to_rgb8().into(), rgba.to_luma8().into());
    for (image, bytes) in [(&rgba, 400), (&rgb, 300), (&gray, 300), (&rgba.to_rgba16().into(), 800)] {
        opened(image, bytes).unwrap();
        assert!(matches!(opened(image, bytes - 1), Err(MediaError::Limit { number: 100, limit: 99, .. })));
    }
}

fn numbered() -> RgbImage {
    RgbImage::from_fn(7, 5, |x, y| image::Rgb([x as u8 * 30, y as u8 * 40, 9]))
}

#[test]
fn plain_formats_give_their_pixels() {
    let image = DynamicImage::ImageRgb8(numbered());
    let formats = [
        (ImageFormat::Bmp, "bmp"),
        (ImageFormat::Tiff, "tiff"),
        (ImageFormat::Pnm, "pnm"),
        (ImageFormat::Qoi, "qoi"),
        (ImageFormat::Tga, "tga"),
    ];
    for (format, name) in formats {
        let mut file = encode(&image, format);
        if name == "tga" {
            // The footer of the second version, by which a TGA can be told.
            file.extend([0; 8]);
            file.extend(b"TRUEVISION-XFILE.\0");
        }
        let clip = open(&file);
        assert_eq!(clip.info().container, name);
        assert!(clip.is_still());
        assert_eq!(frames(&clip)[0].image.data, *image.as_bytes(), "{name}");
        for cut in 0..file.len() {
            let Ok(clip) = open_bytes("picture", file[..cut].to_vec(), &options()) else { continue };
            assert_eq!(clip.frames(&[0]).unwrap().count(), 1, "{name} cut at {cut}");
        }
    }
}

/// An icon of these pictures: width, height, bits, contents.
fn icon(pictures: &[(u8, u8, u16, Vec<u8>)]) -> Vec<u8> {
    let mut file = [[0u16, 1, pictures.len() as u16].map(u16::to_le_bytes).concat()].concat();
    let mut offset = 6 + 16 * pictures.len() as u32;
    for (width, height, bits, data) in pictures {
        file.extend([*width, *height, 0, 0, 1, 0]);
        file.extend(bits.to_le_bytes());
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(offset.to_le_bytes());
        offset += data.len() as u32;
    }
    pictures.iter().for_each(|(.., data)| file.extend(data));
    file
}

#[test]
fn the_largest_picture_of_an_icon_is_shown() {
    let small = encode(&plain(2, 2, RED), ImageFormat::Png);
    let large = encode(&DynamicImage::ImageRgb8(numbered()), ImageFormat::Png);
    let clip = open(&icon(&[(2, 2, 32, small.clone()), (7, 5, 24, large.clone()), (1, 1, 32, small)]));
    assert_eq!((clip.width(), clip.height(), clip.info().container.as_str()), (7, 5, "ico"));
    assert_eq!(frames(&clip)[0].image.data, numbered().into_raw());
    let file = icon(&[(7, 5, 24, large)]);
    let error = error(&file[..file.len() - 1]).to_string();
    assert!(error.starts_with("malformed icon: its picture of"), "{error}");
}

#[test]
fn an_icon_of_bitmaps_has_a_mask_for_transparency() {
    // A bitmap of 2x1 pixels of 32 bits, blue first; twice the height counts the mask. The second pixel is masked.
    let header = [40u32, 2, 2, 32 << 16 | 1, 0, 0, 0, 0, 0, 0].map(u32::to_le_bytes).concat();
    let bitmap = [header.as_slice(), &[0, 0, 255, 255, 0, 0, 0, 255], &[0x40, 0, 0, 0]].concat();
    assert_eq!(pixels(&open(&icon(&[(2, 1, 32, bitmap)]))), [[255, 0, 0], [255; 3]]);
    let clear = encode(&plain(1, 1, CLEAR), ImageFormat::Ico);
    assert_eq!(pixels(&open(&clear)), [[255; 3]]);
}

#[test]
fn enormous_headers_are_refused_in_every_format() {
    let image = DynamicImage::ImageRgb8(numbered());
    let side = 40_000u32;
    let mut bmp = encode(&image, ImageFormat::Bmp);
    bmp[18..26].copy_from_slice(&[side.to_le_bytes(), side.to_le_bytes()].concat());
    let mut qoi = encode(&image, ImageFormat::Qoi);
    // The decoder has a limit of its own at 400 million pixels.
    qoi[4..12].copy_from_slice(&[19_000u32.to_be_bytes(), 19_000u32.to_be_bytes()].concat());
    let mut tga = encode(&image, ImageFormat::Tga);
    tga[12..16].copy_from_slice(&[(side as u16).to_le_bytes(), (side as u16).to_le_bytes()].concat());
    tga.extend(b"\0\0\0\0\0\0\0\0TRUEVISION-XFILE.\0");
    let mut gif = encode(&plain(4, 3, RED), ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[(side as u16).to_le_bytes(), (side as u16).to_le_bytes()].concat());
    for file in [bmp, qoi, tga, gif, b"P6 40000 40000 255\n".to_vec()] {
        let error = error(&file).to_string();
        let pixels = if file.starts_with(b"qoif") { 19_000 * 19_000 } else { 1_600_000_000 };
        assert!(error.starts_with(&format!("pixels of the picture: {pixels} is more than")), "{error}");
    }
}
