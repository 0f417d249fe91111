//! Display: crop, sample aspect ratio, mirrored and turned pictures, and sizes that change, as the container states
//! them.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::path::Path;

use zoetrope_media::container;
use zoetrope_media::container::byte_source::ByteSource;
use zoetrope_media::{Clip, DecoderChoice, OpenOptions, Rgb, SampleAspect, open_bytes};

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/codec").join(name)).unwrap()
}

fn clip_with(bytes: Vec<u8>, sample_aspect: SampleAspect) -> Clip {
    let options = OpenOptions { threads: 1, decoder: DecoderChoice::Embedded, sample_aspect, ..OpenOptions::default() };
    open_bytes("made here", bytes, &options).unwrap()
}

fn clip(bytes: Vec<u8>) -> Clip {
    clip_with(bytes, SampleAspect::Stored)
}

fn image(clip: &Clip, index: usize) -> Rgb {
    clip.frames(&[index]).unwrap().next().unwrap().unwrap().image
}

/// An EBML element with an 8-byte size.
fn element(id: u32, body: &[u8]) -> Vec<u8> {
    let id = id.to_be_bytes();
    let id = &id[id.iter().take_while(|&&b| b == 0).count()..];
    [id, &(body.len() as u64 | 1 << 56).to_be_bytes(), body].concat()
}

fn number(id: u32, value: u32) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

/// The first sample of a golden clip, which is a keyframe.
fn keyframe(name: &str) -> Vec<u8> {
    let source = ByteSource::from_bytes(golden(name));
    let movie = container::read(&source, container::sniff(&source).unwrap(), &OpenOptions::default().limits).unwrap();
    movie.read_sample(&source, 0).unwrap()
}

/// VP9 keyframes as Matroska, a second apart. `video` are more elements of `Video`.
fn matroska(frames: &[Vec<u8>], size: (u32, u32), video: &[Vec<u8>]) -> Vec<u8> {
    let video = [number(0xb0, size.0), number(0xba, size.1), video.concat()].concat();
    let entry = [number(0xd7, 1), number(0x83, 1), element(0x86, b"V_VP9"), element(0xe0, &video)].concat();
    let blocks = frames.iter().enumerate().flat_map(|(i, frame)| {
        let time = (i as u16 * 1000).to_be_bytes();
        element(0xa3, &[&[0x81, time[0], time[1], 0x80], frame.as_slice()].concat())
    });
    let cluster = [number(0xe7, 0), blocks.collect()].concat();
    let tracks = element(0x1654_ae6b, &element(0xae, &entry));
    let info = element(0x1549_a966, &number(0x2a_d7b1, 1_000_000));
    let segment = [info, tracks, element(0x1f43_b675, &cluster)].concat();
    [element(0x1a45_dfa3, &element(0x4282, b"matroska")), element(0x1853_8067, &segment)].concat()
}

/// The part of an image from (left, top) on.
fn part(image: &Rgb, left: u32, top: u32, width: u32, height: u32) -> Rgb {
    let row = |y: u32| {
        let start = ((y * image.width + left) * 3) as usize;
        image.data[start..start + width as usize * 3].iter().copied()
    };
    Rgb { width, height, data: (top..top + height).flat_map(row).collect() }
}

#[test]
fn the_crop_of_the_container_is_applied() {
    let frame = keyframe("vp9.webm");
    let whole = clip(matroska(std::slice::from_ref(&frame), (128, 96), &[]));
    let size = (whole.width(), whole.height());
    let edges = [number(0x54cc, 6), number(0x54dd, 11), number(0x54bb, 4), number(0x54aa, 1)];
    let cut = clip(matroska(&[frame], size, &edges));
    assert_eq!((cut.width(), cut.height()), (size.0 - 17, size.1 - 5));
    assert_eq!(cut.info().coded_width, size.0 - 17);
    assert_eq!(cut.info().sample_aspect, (1, 1));
    assert_eq!(image(&cut, 0), part(&image(&whole, 0), 6, 4, size.0 - 17, size.1 - 5));
}

#[test]
fn a_crop_of_everything_is_named_and_not_applied() {
    let cut = clip(matroska(&[keyframe("vp9.webm")], (64, 48), &[number(0x54cc, 40), number(0x54dd, 24)]));
    assert!(cut.info().warnings.iter().any(|w| w.contains("leaves nothing of 64x48")), "{:?}", cut.info().warnings);
}

#[test]
fn samples_that_are_not_square_are_told_and_on_request_scaled() {
    let frame = keyframe("vp9.webm");
    let whole = clip(matroska(std::slice::from_ref(&frame), (128, 96), &[]));
    let (w, h) = (whole.width(), whole.height());
    let wide = matroska(&[frame], (w, h), &[number(0x54b0, 2 * w), number(0x54ba, h)]);
    let stored = clip(wide.clone());
    let info = stored.info();
    assert_eq!((info.width, info.display_width, info.display_height, info.sample_aspect), (w, 2 * w, h, (2, 1)));
    assert_eq!(image(&stored, 0), image(&whole, 0));
    let square = clip_with(wide, SampleAspect::Square);
    assert_eq!((square.width(), square.height(), square.info().display_width), (2 * w, h, 2 * w));
    let (small, large) = (image(&whole, 0), image(&square, 0));
    assert_eq!((large.width, large.height), (2 * w, h));
    // The edge repeats, so that the first column stays itself.
    assert_eq!(part(&large, 0, 0, 1, h), part(&small, 0, 0, 1, h));
}

#[test]
fn a_mirrored_matrix_flips_before_it_turns() {
    let turned = golden("h264-rotated90.mp4");
    let words = |matrix: [i32; 4]| [matrix[0], matrix[1], 0, matrix[2], matrix[3]].map(i32::to_be_bytes).concat();
    let one = 1 << 16;
    let old = words([0, one, -one, 0]);
    let at = turned.windows(old.len()).position(|w| w == old).unwrap();
    let mut mirrored = turned.clone();
    mirrored[at..at + old.len()].copy_from_slice(&words([0, -one, -one, 0]));
    let (turned, mirrored) = (clip(turned), clip(mirrored));
    assert_eq!((mirrored.info().mirrored, mirrored.info().rotation), (true, 90));
    assert_eq!(mirrored.times(), turned.times());
    // A flip of left and right before a quarter turn exchanges top and bottom after it.
    let (a, b) = (image(&turned, 3), image(&mirrored, 3));
    let rows = a.data.chunks(a.width as usize * 3).rev().flatten().copied().collect();
    assert_eq!(b, Rgb { data: rows, ..a });
}

#[test]
fn each_frame_has_its_own_size_and_the_largest_is_known() {
    let (small, large) = (keyframe("vp9-odd.webm"), keyframe("vp9.webm"));
    let sizes = [&small, &large].map(|frame| {
        let clip = clip(matroska(std::slice::from_ref(frame), (64, 48), &[]));
        (clip.width(), clip.height())
    });
    let pixels = |size: (u32, u32)| size.0 * size.1;
    assert_ne!(sizes[0], sizes[1]);
    let both = clip(matroska(&[small, large], sizes[0], &[]));
    assert_eq!((both.width(), both.height()), sizes[0]);
    let given: Vec<_> = both.frames(&[0, 1]).unwrap().map(|f| f.unwrap().image).map(|i| (i.width, i.height)).collect();
    assert_eq!(given, sizes);
    let largest = if pixels(sizes[0]) > pixels(sizes[1]) { sizes[0] } else { sizes[1] };
    assert_eq!(both.largest_size(), largest);
    assert_eq!(clip(golden("h264-rotated90.mp4")).largest_size(), {
        let clip = clip(golden("h264-rotated90.mp4"));
        (clip.width(), clip.height())
    });
}
