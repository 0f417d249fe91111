//! The memory that hostile pictures cost. A binary of its own with one test: the peak of the process is the measure.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::io::Cursor;

use image::ImageFormat;
use zoetrope_media::{OpenOptions, open_bytes};

/// What a small picture may cost at most, whatever is packed beside it.
const BUDGET_KIB: u64 = 16 << 10;

/// Zeros, `megabytes` of them, as a zlib stream of a thousandth of that.
fn zeros(megabytes: usize) -> Vec<u8> {
    let matches = megabytes * 1_000_000 / 258;
    let (mut bits, mut filled, mut out) = (0u32, 0, vec![0x78, 0x9c]);
    let mut push = |code: u32, length: u32| {
        bits |= code << filled;
        filled += length;
        while filled >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            filled -= 8;
        }
    };
    // The last block, with fixed codes: the literal 0, then copies of 258 bytes from 1 byte before, then the end.
    push(0b011, 3);
    push(0b0000_1100, 8);
    for _ in 0..matches {
        push(0b1010_0011, 8);
        push(0, 5);
    }
    push(0, 7);
    push(0, 7);
    let sum = ((matches * 258 + 1) % 65521) as u32;
    out.extend((sum << 16 | 1).to_be_bytes());
    out
}

fn chunk(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = [kind.as_slice(), &parts.concat()].concat();
    let crc = !body.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()))
    });
    [(body.len() as u32 - 4).to_be_bytes().as_slice(), &body, &crc.to_be_bytes()].concat()
}

/// The largest memory of this process so far, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn show(png: &[u8]) {
    let clip = open_bytes("picture", png.to_vec(), &OpenOptions::default()).unwrap();
    assert_eq!(clip.frames(&[0]).unwrap().map(Result::unwrap).count(), 1);
}

#[test]
fn chunks_that_inflate_cost_no_more_than_their_bytes() {
    let mut png = Cursor::new(Vec::new());
    image::RgbImage::new(8, 8).write_to(&mut png, ImageFormat::Png).unwrap();
    let png = png.into_inner();
    let packed = zeros(100);
    let extras = [
        vec![chunk(b"zTXt", &[b"Comment\0\0", &packed]); 8],
        vec![chunk(b"iTXt", &[b"XML:com.adobe.xmp\0\x01\0\0\0", &packed]); 8],
        vec![chunk(b"iCCP", &[b"icc\0\0", &packed])],
    ];
    show(&png);
    for extra in extras {
        let file = [&png[..33], &extra.concat(), &png[33..]].concat();
        let before = peak();
        show(&file);
        let cost = peak() - before;
        assert!(cost < BUDGET_KIB, "{cost} KiB for {} bytes", file.len());
    }
}
