//! WebP: animations with transparency, and EXIF in the two ways it is written.

use image::{DynamicImage, ImageFormat};
use zoetrope_media::Alpha;

use super::maker::{RED, encode, error, frames, open, open_without_alpha, plain};

fn chunk(fourcc: &[u8; 4], contents: &[u8]) -> Vec<u8> {
    let pad = vec![0; contents.len() % 2];
    [fourcc.as_slice(), &(contents.len() as u32).to_le_bytes(), contents, &pad].concat()
}

fn u24(number: u32) -> [u8; 3] {
    number.to_le_bytes()[..3].try_into().unwrap()
}

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"RIFF", &[b"WEBP".as_slice(), &chunks.concat()].concat())
}

fn vp8x(flags: u8, width: u32, height: u32) -> Vec<u8> {
    chunk(b"VP8X", &[&[flags, 0, 0, 0], u24(width - 1).as_slice(), &u24(height - 1)].concat())
}

/// The image chunk of a lossless WebP.
fn image_chunk(image: &DynamicImage) -> Vec<u8> {
    encode(image, ImageFormat::WebP)[12..].to_vec()
}

/// A frame for 100 ms. Bit 0 of `flags` clears it afterwards, bit 1 replaces instead of blending.
fn frame(image: &DynamicImage, x: u32, y: u32, flags: u8) -> Vec<u8> {
    let words = [x / 2, y / 2, image.width() - 1, image.height() - 1, 100].map(u24).concat();
    chunk(b"ANMF", &[&words, [flags].as_slice(), &image_chunk(image)].concat())
}

fn animation(width: u32, height: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let anim = chunk(b"ANIM", &[0; 6]);
    riff(&[vec![vp8x(0x02, width, height), anim], frames.to_vec()].concat())
}

/// Columns of each frame that are red.
fn red_columns(file: &[u8]) -> Vec<Vec<usize>> {
    let red = |(x, p): (usize, &[u8])| (p[0] == 255 && p[1] == 0).then_some(x);
    let first_row = |f: &zoetrope_media::Frame| {
        let width = f.image.width as usize;
        f.image.data.chunks(3).take(width).enumerate().filter_map(red).collect()
    };
    frames(&open(file)).iter().map(first_row).collect()
}

#[test]
fn a_moving_sticker_leaves_no_trail() {
    // Opaque frames are coded without alpha; the canvas under them is transparent.
    let square = plain(2, 2, RED).into_rgb8().into();
    let moves: Vec<_> = (0..4).map(|i| frame(&square, 2 * i, 0, 1)).collect();
    let file = animation(8, 4, &moves);
    let clip = open(&file);
    assert_eq!((clip.width(), clip.height(), clip.times().len()), (8, 4, 4));
    assert_eq!(clip.times()[3].seconds(), 0.3);
    assert_eq!(clip.info().alpha, Some(Alpha::Over([255; 3])));
    assert_eq!(red_columns(&file), [[0, 1], [2, 3], [4, 5], [6, 7]]);
    let white = frames(&clip)[3].image.data.chunks(3).filter(|p| *p == [255; 3]).count();
    assert_eq!(white, 32 - 4);
    let dropped = frames(&open_without_alpha(&file)).remove(3).image.data;
    assert_eq!(dropped.chunks(3).filter(|p| *p == [0; 3]).count(), 32 - 4);
}

#[test]
fn frames_that_stay_are_drawn_over_and_replaced() {
    let dot = plain(2, 1, RED);
    let nothing = plain(8, 1, [0; 4]);
    let frames = [frame(&dot, 0, 0, 0), frame(&dot, 4, 0, 0), frame(&nothing, 0, 0, 0), frame(&nothing, 0, 0, 2)];
    assert_eq!(red_columns(&animation(8, 1, &frames)), [vec![0, 1], vec![0, 1, 4, 5], vec![0, 1, 4, 5], vec![]]);
}

#[test]
fn cut_and_misplaced_frames() {
    let dot = plain(2, 1, RED);
    let file = animation(8, 1, &[frame(&dot, 0, 0, 0), frame(&dot, 2, 0, 0)]);
    let clip = open(&file[..file.len() - 4]);
    assert_eq!(clip.times().len(), 1);
    assert!(clip.info().warnings[0].contains("frame 1 is cut short"), "{:?}", clip.info().warnings);
    let error = error(&animation(8, 1, &[frame(&dot, 8, 0, 0)]));
    assert_eq!(error.to_string(), "malformed animation: frame 0 (2x1 at 8, 0) is not inside its 8x1 pixels");
}

#[test]
fn exif_turns_a_picture_with_and_without_the_marker_of_jpeg() {
    // One entry: orientation (0x112), a short, 6: turn by 90 degrees.
    let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    for exif in [tiff.to_vec(), [b"Exif\0\0".as_slice(), tiff].concat()] {
        let image = plain(4, 2, RED).into_rgb8().into();
        let clip = open(&riff(&[vp8x(0x08, 4, 2), image_chunk(&image), chunk(b"EXIF", &exif)]));
        assert_eq!((clip.width(), clip.height(), clip.info().rotation), (2, 4, 90));
    }
}
