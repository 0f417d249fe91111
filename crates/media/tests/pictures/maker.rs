//! Makes picture files out of pixels, and opens them.

use std::io::Cursor;
use std::path::PathBuf;

use image::{DynamicImage, ImageFormat};
use zoetrope_media::{Alpha, Clip, DecoderChoice, Frame, MediaError, OpenOptions, open_bytes};

pub(crate) const RED: [u8; 4] = [255, 0, 0, 255];
pub(crate) const CLEAR: [u8; 4] = [0, 0, 0, 0];

/// Embedded decoders only, with the decoder process of this crate.
pub(crate) fn options() -> OpenOptions {
    OpenOptions {
        decoder: DecoderChoice::Embedded,
        child_program: Some(PathBuf::from(env!("CARGO_BIN_EXE_zoetrope-decode-child"))),
        threads: 2,
        ..OpenOptions::default()
    }
}

pub(crate) fn open(bytes: &[u8]) -> Clip {
    open_bytes("picture", bytes.to_vec(), &options()).unwrap()
}

/// Opens with the alpha channel dropped, as the reference processors do.
pub(crate) fn open_without_alpha(bytes: &[u8]) -> Clip {
    open_bytes("picture", bytes.to_vec(), &OpenOptions { alpha: Alpha::Drop, ..options() }).unwrap()
}

pub(crate) fn error(bytes: &[u8]) -> MediaError {
    open_bytes("picture", bytes.to_vec(), &options()).unwrap_err()
}

/// All frames.
pub(crate) fn frames(clip: &Clip) -> Vec<Frame> {
    let indices: Vec<usize> = (0..clip.times().len()).collect();
    clip.frames(&indices).unwrap().map(Result::unwrap).collect()
}

/// The pixels of a picture of one frame.
pub(crate) fn pixels(clip: &Clip) -> Vec<[u8; 3]> {
    let data = frames(clip).remove(0).image.data;
    data.chunks(3).map(|p| [p[0], p[1], p[2]]).collect()
}

/// A picture of one color.
pub(crate) fn plain(width: u32, height: u32, color: [u8; 4]) -> DynamicImage {
    image::RgbaImage::from_pixel(width, height, image::Rgba(color)).into()
}

pub(crate) fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A PNG chunk.
pub(crate) fn png_chunk(kind: &[u8; 4], contents: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), contents].concat();
    let crc = !body.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()))
    });
    [(contents.len() as u32).to_be_bytes().as_slice(), &body, &crc.to_be_bytes()].concat()
}

/// The chunks of a PNG: type and contents.
pub(crate) fn png_chunks(png: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let (mut at, mut chunks) = (8, Vec::new());
    while at < png.len() {
        let size = u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
        chunks.push((png[at + 4..at + 8].try_into().unwrap(), png[at + 8..at + 8 + size].to_vec()));
        at += size + 12;
    }
    chunks
}

/// A box of the ISO base media file format.
pub(crate) fn atom(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [(body.len() as u32 + 8).to_be_bytes().as_slice(), kind, &body].concat()
}

/// A box with version and flags.
pub(crate) fn full(kind: &[u8; 4], version: u8, flags: u32, parts: &[&[u8]]) -> Vec<u8> {
    let head = (u32::from(version) << 24 | flags).to_be_bytes();
    atom(kind, &[&head, &parts.concat()])
}
