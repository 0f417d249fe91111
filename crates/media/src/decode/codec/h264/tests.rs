//! Cropping on the left and at the top, by both decoders.

use std::path::Path;

use super::super::decoder::DecodedFrame;
use super::super::factory::DecoderFactory;
use super::sps_syntax::SpsSyntax;
use crate::color::yuv::Plane;
use crate::container;
use crate::container::byte_source::ByteSource;
use crate::container::nal::units::unescape;
use crate::options::OpenOptions;

/// Left, right, top and bottom in units of two pixels.
const CROP: [u32; 4] = [4, 3, 2, 1];

/// `sps` with other bits in place of bit `at` after its header.
fn with_bits(sps: &[u8], at: usize, inserted: &[bool]) -> Vec<u8> {
    let payload = unescape(&sps[1..]);
    let bits: Vec<bool> = (0..payload.len() * 8).map(|i| payload[i / 8] >> (7 - i % 8) & 1 == 1).collect();
    let joined = [&bits[..at], inserted, &bits[at + 1..]].concat();
    let byte = |bits: &[bool]| (0..8).fold(0, |byte, i| byte << 1 | u8::from(bits.get(i) == Some(&true)));
    [sps[0]].into_iter().chain(joined.chunks(8).map(byte)).collect()
}

/// Exp-Golomb code of a number below 7.
fn exp_golomb(number: u32) -> Vec<bool> {
    let length = (number + 1).ilog2();
    (0..length).map(|_| false).chain((0..=length).rev().map(|bit| (number + 1) >> bit & 1 == 1)).collect()
}

/// `sps` with the crop in place of its cleared cropping flag, which is found by trying.
fn cropped(sps: &[u8]) -> Vec<u8> {
    let plain = SpsSyntax::from_sps(sps).unwrap();
    let inserted = [vec![true], CROP.into_iter().flat_map(exp_golomb).collect()].concat();
    let size = [plain.size_to_end[0] - 6, plain.size_to_end[1] - 2];
    let fits = |sps: &SpsSyntax| (sps.crop_start, sps.size_to_end) == ([8, 4], size);
    let tries = (24..sps.len() * 8 - 8).map(|at| with_bits(sps, at, &inserted));
    tries.into_iter().find(|sps| SpsSyntax::from_sps(sps).as_ref().is_some_and(fits)).unwrap()
}

fn decode(decoder_index: usize, crop: bool) -> Vec<DecodedFrame> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/codec/h264-baseline.mp4");
    let (source, options) = (ByteSource::open(&path).unwrap(), OpenOptions::default());
    let mut movie = container::read(&source, container::sniff(&source).unwrap(), &options.limits).unwrap();
    if crop {
        let avcc = movie.track.extradata.clone();
        let (head, tail) = avcc.split_at(6);
        let length = usize::from(u16::from_be_bytes([tail[0], tail[1]]));
        let sps = cropped(&tail[2..2 + length]);
        let new_length = (sps.len() as u16).to_be_bytes();
        movie.track.extradata = [head, &new_length, &sps, &tail[2 + length..]].concat();
    }
    let mut decoder = DecoderFactory::new(&movie.track, &options).unwrap().make(decoder_index).unwrap();
    let mut out = Vec::new();
    for sample in 0..4 {
        decoder.push(sample, &movie.read_sample(&source, sample).unwrap(), true, &mut out).unwrap();
    }
    decoder.finish(&mut out).unwrap();
    out
}

#[test]
fn left_and_top_are_cropped_by_both_decoders() {
    for decoder in 0..2 {
        let (whole, cut) = (decode(decoder, false), decode(decoder, true));
        assert_eq!((whole.len(), cut.len()), (4, 4));
        for (whole, cut) in whole.iter().zip(&cut) {
            let (w, h) = (whole.yuv.width - 14, whole.yuv.height - 6);
            assert_eq!((cut.yuv.width, cut.yuv.height), (w, h), "decoder {decoder}");
            for (plane, [left, top, columns, rows]) in
                [[8, 4, w, h], [4, 2, w / 2, h / 2], [4, 2, w / 2, h / 2]].into_iter().enumerate()
            {
                let (Plane::U8(from), Plane::U8(to)) = (&whole.yuv.planes[plane], &cut.yuv.planes[plane]) else {
                    panic!("8 bits")
                };
                let stride = if plane == 0 { whole.yuv.width } else { whole.yuv.width / 2 };
                for row in 0..rows {
                    let start = (row + top) * stride + left;
                    let same = from[start..start + columns] == to[row * columns..(row + 1) * columns];
                    assert!(same, "decoder {decoder}, plane {plane}, row {row}");
                }
            }
        }
    }
}

#[test]
fn sample_aspect_ratios_are_read() {
    // Baseline, 32x32, no crop; then the flags for usability information and aspect ratio, and the code.
    let set = |tail: &[bool]| {
        let number = |n| exp_golomb(n);
        let parts = [number(0), number(0), number(2), number(1), vec![false], number(1), number(1)].concat();
        let bits = [&parts[..], &[true, true, false], tail].concat();
        let byte = |bits: &[bool]| (0..8).fold(0, |byte, i| byte << 1 | u8::from(bits.get(i) == Some(&true)));
        let bytes: Vec<u8> = [0x67, 66, 0, 30].into_iter().chain(bits.chunks(8).map(byte)).chain([0; 8]).collect();
        SpsSyntax::from_sps(&bytes).unwrap()
    };
    let bits = |value: u32, count: u32| (0..count).rev().map(move |bit| value >> bit & 1 == 1);
    let coded = |code: u32, rest: &[(u32, u32)]| -> Vec<bool> {
        let numbers = rest.iter().flat_map(|&(value, count)| bits(value, count));
        [true, true].into_iter().chain(bits(code, 8)).chain(numbers).collect()
    };
    assert_eq!(set(&coded(2, &[])).size_to_end, [32, 32]);
    assert_eq!(set(&coded(2, &[])).sample_aspect, Some((12, 11)));
    assert_eq!(set(&coded(16, &[])).sample_aspect, Some((2, 1)));
    assert_eq!(set(&coded(255, &[(64, 16), (45, 16)])).sample_aspect, Some((64, 45)));
    assert_eq!(set(&coded(255, &[(64, 16), (0, 16)])).sample_aspect, None);
    assert_eq!(set(&coded(0, &[])).sample_aspect, None);
    assert_eq!(set(&coded(99, &[])).sample_aspect, None);
    assert_eq!(set(&[false]).sample_aspect, None);
}
