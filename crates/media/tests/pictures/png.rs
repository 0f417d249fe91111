//! PNG and APNG: transparency, chunks that are not needed, a missing end, 16 bits.

use image::{DynamicImage, ImageBuffer, ImageFormat, LumaA};
use zoetrope_media::Alpha;

use super::maker::{CLEAR, RED, encode, error, frames, open, open_without_alpha, pixels, plain, png_chunk, png_chunks};

fn png(image: &DynamicImage) -> Vec<u8> {
    encode(image, ImageFormat::Png)
}

/// A PNG with chunks put in front of its image data.
fn with_chunks(png: &[u8], extra: &[Vec<u8>]) -> Vec<u8> {
    let at = 8 + 25;
    [&png[..at], &extra.concat(), &png[at..]].concat()
}

#[test]
fn transparent_parts_are_white_or_as_stored() {
    let gray = ImageBuffer::from_fn(2, 1, |x, _| LumaA([0u8, 255 * x as u8]));
    let deep = ImageBuffer::from_fn(2, 1, |x, _| LumaA([0u16, 65535 * x as u16]));
    let color: DynamicImage = image::RgbaImage::from_raw(2, 1, vec![0, 0, 0, 0, 0, 0, 0, 255]).unwrap().into();
    for image in [DynamicImage::ImageLumaA8(gray), DynamicImage::ImageLumaA16(deep), color] {
        let file = png(&image);
        let clip = open(&file);
        assert_eq!(pixels(&clip), [[255; 3], [0; 3]]);
        assert_eq!(clip.info().alpha, Some(Alpha::Over([255; 3])));
        let clip = open_without_alpha(&file);
        assert_eq!(pixels(&clip), [[0; 3]; 2]);
        assert_eq!(clip.info().alpha, Some(Alpha::Drop));
    }
    let opaque = png(&plain(2, 1, RED).into_rgb8().into());
    assert_eq!(open(&opaque).info().alpha, None);
}

#[test]
fn a_transparent_color_is_composited() {
    // Black is named as the transparent color of an RGB picture.
    let black = png(&plain(2, 1, [0, 0, 0, 255]).into_rgb8().into());
    let clip = open(&with_chunks(&black, &[png_chunk(b"tRNS", &[0; 6])]));
    assert_eq!(pixels(&clip), [[255; 3]; 2]);
}

#[test]
fn text_profiles_and_unknown_chunks_change_nothing() {
    let file = png(&plain(2, 2, RED));
    let junk = [
        png_chunk(b"zTXt", b"Comment\0\0not a zlib stream"),
        png_chunk(b"iTXt", b"broken"),
        png_chunk(b"iCCP", b"icc\0\0neither"),
        png_chunk(b"prVt", &[7; 100]),
    ];
    let clip = open(&with_chunks(&file, &junk));
    assert_eq!(pixels(&clip), [[255, 0, 0]; 4]);
    assert!(clip.info().warnings.is_empty());
}

#[test]
fn a_missing_end_is_a_warning_and_missing_rows_are_an_error() {
    let image = DynamicImage::ImageRgb8(image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8, y as u8, 9])));
    let file = png(&image);
    for cut in [file.len() - 12, file.len() - 3, file.len() - 13] {
        let clip = open(&file[..cut]);
        assert_eq!(frames(&clip)[0].image.data, *image.as_bytes(), "{cut}");
        assert_eq!(clip.info().warnings.len(), usize::from(cut <= file.len() - 12), "{cut}");
    }
    let clip = open(&file[..file.len() / 2]);
    let error = clip.frames(&[0]).unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().starts_with("malformed picture"), "{error}");
}

/// One frame of an animation: its picture, place, disposal and blending.
struct Part<'a>(&'a DynamicImage, (u32, u32), u8, u8);

/// An APNG on a canvas of this size, each frame for 50 ms.
fn apng(size: (u32, u32), parts: &[Part<'_>]) -> Vec<u8> {
    let first = png_chunks(&png(parts[0].0));
    let mut ihdr = first[0].1.clone();
    ihdr[..8].copy_from_slice(&[size.0.to_be_bytes(), size.1.to_be_bytes()].concat());
    let actl = [(parts.len() as u32).to_be_bytes(), [0; 4]].concat();
    let mut file = [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(b"IHDR", &ihdr), png_chunk(b"acTL", &actl)].concat();
    let mut sequence = 0u32;
    let mut number = || {
        sequence += 1;
        (sequence - 1).to_be_bytes()
    };
    for (i, Part(image, (x, y), dispose, blend)) in parts.iter().enumerate() {
        let words = [image.width(), image.height(), *x, *y].map(u32::to_be_bytes).concat();
        let fctl = [number().as_slice(), &words, &[0, 5, 0, 100, *dispose, *blend]].concat();
        file.extend(png_chunk(b"fcTL", &fctl));
        for (_, data) in png_chunks(&png(image)).iter().filter(|(kind, _)| kind == b"IDAT") {
            if i == 0 {
                file.extend(png_chunk(b"IDAT", data));
            } else {
                file.extend(png_chunk(b"fdAT", &[number().as_slice(), data].concat()));
            }
        }
    }
    file.extend(png_chunk(b"IEND", &[]));
    file
}

/// Which pixels of each frame are red.
fn red_parts(file: &[u8]) -> Vec<Vec<bool>> {
    let red = |p: &[u8]| p[0] == 255 && p[1] == 0;
    frames(&open(file)).iter().map(|frame| frame.image.data.chunks(3).map(red).collect()).collect()
}

#[test]
fn animations_blend_and_dispose_at_8_and_16_bits() {
    let (clear, dot) = (plain(3, 1, CLEAR), plain(1, 1, RED));
    let deep = |image: &DynamicImage| DynamicImage::ImageRgba16(image.to_rgba16());
    for (clear, dot) in [(clear.clone(), dot.clone()), (deep(&clear), deep(&dot))] {
        let file = apng(
            (3, 1),
            &[Part(&clear, (0, 0), 0, 0), Part(&dot, (0, 0), 1, 1), Part(&dot, (1, 0), 2, 1), Part(&dot, (2, 0), 0, 0)],
        );
        let clip = open(&file);
        assert_eq!(clip.info().container, "apng");
        assert_eq!(clip.times().iter().map(|t| t.seconds()).collect::<Vec<_>>(), [0.0, 0.05, 0.1, 0.15]);
        assert_eq!(clip.info().alpha, Some(Alpha::Over([255; 3])));
        let expected = [[false; 3], [true, false, false], [false, true, false], [false, false, true]];
        assert_eq!(red_parts(&file), expected);
    }
}

#[test]
fn a_frame_outside_the_canvas_ends_the_animation() {
    let (ground, dot) = (plain(3, 1, CLEAR), plain(1, 1, RED));
    let file = apng((3, 1), &[Part(&ground, (0, 0), 0, 0), Part(&dot, (0, 0), 0, 1), Part(&dot, (3, 0), 0, 1)]);
    let clip = open(&file);
    assert_eq!(clip.times().len(), 2);
    let warning = &clip.info().warnings[0];
    assert!(warning.contains("frame 2 (1x1 at 3, 0) is not inside its 3x1 pixels"), "{warning}");
    let file = apng((3, 1), &[Part(&ground, (u32::MAX, 0), 0, 0)]);
    assert!(error(&file).to_string().contains("is not inside"));
}

#[test]
fn a_damaged_frame_repeats_the_one_before() {
    let (ground, dot) = (plain(3, 1, CLEAR), plain(1, 1, RED));
    let mut file = apng((3, 1), &[Part(&ground, (0, 0), 0, 0), Part(&dot, (0, 0), 0, 1), Part(&dot, (2, 0), 0, 1)]);
    let at = file.windows(4).rposition(|w| w == b"fdAT").unwrap();
    file[at + 8..at + 14].fill(0xff);
    let clip = open(&file);
    let mut frames = clip.frames(&[0, 1, 2]).unwrap();
    let images: Vec<_> = frames.by_ref().map(|frame| frame.unwrap().image).collect();
    assert_eq!(images[1], images[2]);
    assert_eq!(frames.repeated(), 1);
}
