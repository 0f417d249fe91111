//! Decoders against each other and against damage.

use std::path::Path;

use super::super::decoder_panic::catch_decoder_panic;
use super::decoder::DecodedFrame;
use super::factory::DecoderFactory;
use crate::color::yuv::Plane;
use crate::container;
use crate::container::byte_source::ByteSource;
use crate::container::movie::Movie;
use crate::error::MediaError;
use crate::options::OpenOptions;

fn movie(name: &str) -> (ByteSource, Movie, DecoderFactory) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/codec").join(name);
    let (source, options) = (ByteSource::open(&path).unwrap(), OpenOptions::default());
    let movie = container::read(&source, container::sniff(&source).unwrap(), &options.limits).unwrap();
    let factory = DecoderFactory::new(&movie.track, &options).unwrap();
    (source, movie, factory)
}

/// All frames of a clip by one decoder, sorted by sample, and the number of errors. `damage` may change the data of a
/// sample.
fn decode(
    name: &str,
    decoder_index: usize,
    requested: bool,
    damage: impl Fn(usize, &mut Vec<u8>),
) -> (Vec<DecodedFrame>, usize) {
    decode_with_threads(name, (decoder_index, 1), requested, damage)
}

/// [`decode`] by a decoder on a number of threads.
fn decode_with_threads(
    name: &str,
    (decoder_index, threads): (usize, usize),
    requested: bool,
    damage: impl Fn(usize, &mut Vec<u8>),
) -> (Vec<DecodedFrame>, usize) {
    let (source, movie, factory) = movie(name);
    // A decoder may refuse a stream by its parameter sets alone.
    let Ok(mut decoder) = factory.make_with_threads(decoder_index, threads) else { return (Vec::new(), 1) };
    let (mut out, mut errors) = (Vec::new(), 0);
    for sample in 0..movie.track.samples.len() {
        let mut data = movie.read_sample(&source, sample).unwrap();
        damage(sample, &mut data);
        errors +=
            usize::from(catch_decoder_panic("stream", || decoder.push(sample, &data, requested, &mut out)).is_err());
    }
    errors += usize::from(catch_decoder_panic("stream", || decoder.finish(&mut out)).is_err());
    out.sort_by_key(|p| p.sample);
    (out, errors)
}

fn values(plane: &Plane) -> Vec<u16> {
    match plane {
        Plane::U8(v) => v.iter().map(|&b| b.into()).collect(),
        Plane::U16(v) => v.clone(),
    }
}

#[test]
fn both_decoders_of_a_codec_give_the_same_planes() {
    for (name, frames) in [
        ("h264-baseline.mp4", 24),
        ("h264-high.mp4", 40),
        ("h264-open.mp4", 40),
        ("h264-slices.mkv", 24),
        ("h264-vfr.mp4", 12),
        ("hevc-main.mp4", 36),
        ("hevc-10bit.mkv", 12),
    ] {
        let (first, errors) = decode(name, 0, true, |_, _| {});
        assert_eq!((first.len(), errors), (frames, 0), "{name}, first decoder");
        let (second, errors) = decode(name, 1, true, |_, _| {});
        assert_eq!((second.len(), errors), (frames, 0), "{name}, second decoder");
        for (a, b) in first.iter().zip(&second) {
            assert_eq!((a.sample, a.yuv.width, a.yuv.height), (b.sample, b.yuv.width, b.yuv.height), "{name}");
            for plane in 0..3 {
                let same = values(&a.yuv.planes[plane]) == values(&b.yuv.planes[plane]);
                assert!(same, "{name}: plane {plane} of sample {}", a.sample);
            }
        }
    }
}

/// Frames on several threads are those of one thread, for the same samples, whether all of them are requested or not.
#[test]
fn threads_change_no_frame() {
    let clips = [
        ("h264-high.mp4", 1),
        ("h264-open.mp4", 1),
        ("h264-slices.mkv", 1),
        ("h264-10bit.mp4", 1),
        ("hevc-main.mp4", 0),
        ("hevc-10bit.mkv", 0),
    ];
    for (name, decoder) in clips {
        for requested in [true, false] {
            let (one, errors) = decode(name, decoder, requested, |_, _| {});
            assert_eq!(errors, 0, "{name}");
            for threads in [2, 5] {
                let (several, errors) = decode_with_threads(name, (decoder, threads), requested, |_, _| {});
                assert_eq!((several.len(), errors), (one.len(), 0), "{name} on {threads} threads");
                assert!(same_frames(&one, &several), "{name} on {threads} threads");
            }
        }
    }
}

fn same_frames(one: &[DecodedFrame], other: &[DecodedFrame]) -> bool {
    let planes = |frame: &DecodedFrame| frame.yuv.planes.iter().map(values).collect::<Vec<_>>();
    let same = |(a, b): (&DecodedFrame, &DecodedFrame)| a.sample == b.sample && planes(a) == planes(b);
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// Damage on several threads is told, or the frames are those of one thread. Fields are refused.
#[test]
fn threads_hide_no_damage() {
    for (name, decoder) in [("h264-high.mp4", 1), ("h264-10bit.mp4", 1), ("hevc-main.mp4", 0)] {
        for seed in 0..12usize {
            let damage = |sample: usize, data: &mut Vec<u8>| {
                if sample == 3 + seed / 2 {
                    let at = data.len() / 2;
                    if seed % 2 == 0 { data.truncate(at) } else { data[at..].fill(0x5a) }
                }
            };
            // The last decoder is the one that has threads.
            let (one, of_one) = decode(name, 1, true, damage);
            let (several, errors) = decode_with_threads(name, (decoder, 3), true, damage);
            assert!(errors > 0 || of_one == 0 && same_frames(&one, &several), "{name}, damage {seed}");
        }
    }
    assert!(decode_with_threads("h264-interlaced.mp4", (1, 2), true, |_, _| {}).1 > 0);
}

#[test]
fn non_reference_pictures_are_dropped_and_the_rest_is_unchanged() {
    for (name, decoder) in [("h264-high.mp4", 0), ("h264-high.mp4", 1), ("hevc-main.mp4", 0), ("hevc-main.mp4", 1)] {
        let (all, _) = decode(name, decoder, true, |_, _| {});
        let (kept, errors) = decode(name, decoder, false, |_, _| {});
        assert_eq!(errors, 0, "{name}");
        assert!(!kept.is_empty() && kept.len() < all.len(), "{name}: {} of {}", kept.len(), all.len());
        for frame in &kept {
            let full = all.iter().find(|p| p.sample == frame.sample).unwrap();
            assert!(values(&full.yuv.planes[0]) == values(&frame.yuv.planes[0]), "{name} {}", frame.sample);
        }
    }
}

/// A stream that begins in the middle is damaged; no other program would know its coding tools better.
#[test]
fn a_frame_without_its_reference_is_no_unknown_coding_tool() {
    for name in ["h264-baseline.mp4", "h264-high.mp4", "hevc-main.mp4"] {
        for decoder in 0..2 {
            let (source, movie, factory) = movie(name);
            let mut decoder = factory.make(decoder).unwrap();
            let data = movie.read_sample(&source, 1).unwrap();
            let result = catch_decoder_panic("stream", || decoder.push(1, &data, true, &mut Vec::new()));
            assert!(!matches!(result, Err(MediaError::Unsupported { .. })), "{name}: {result:?}");
        }
    }
}

/// Damage anywhere gives frames or errors, nothing else, with every decoder in this process.
#[test]
fn damage_gives_frames_or_errors() {
    let clips = ["h264-high.mp4", "h264-10bit.mp4", "h264-interlaced.mp4", "hevc-main.mp4", "vp9.webm", "vp9-444.mp4"];
    for name in clips {
        let decoders = movie(name).2.names().len();
        for decoder in 0..2 * decoders {
            for seed in 0..6usize {
                let on = (decoder / 2, 1 + decoder % 2);
                let (given, _) = decode_with_threads(name, on, true, |sample, data| {
                    let at = (sample * 31 + seed * 97 + 9) % data.len();
                    if (sample + seed) % 3 == 0 {
                        data[at] ^= 1 << (seed % 8);
                    } else if (sample + seed) % 7 == 0 {
                        data.truncate(at);
                    }
                });
                for frame in given {
                    frame.yuv.check().unwrap();
                }
            }
        }
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_before_it_is_decoded() {
    for name in ["h264-high.mp4", "hevc-main.mp4", "vp9.webm"] {
        let (source, movie, mut factory) = movie(name);
        factory.set_max_pixels(1000);
        let mut out = Vec::new();
        let data = movie.read_sample(&source, 0).unwrap();
        let result = factory.make(0).and_then(|mut decoder| decoder.push(0, &data, true, &mut out));
        let text = result.unwrap_err().to_string();
        assert!(text.contains("is more than the limit of 1000"), "{name}: {text}");
        assert!(out.is_empty());
    }
}
