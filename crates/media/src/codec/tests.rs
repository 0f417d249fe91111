//! Decoders against each other and against damage.

use std::path::Path;

use super::{Picture, Recipe};
use crate::clip::OpenOptions;
use crate::container::source::Source;
use crate::container::{self, Movie};
use crate::quiet::guarded;
use crate::yuv::Samples;

fn movie(name: &str) -> (Source, Movie, Recipe) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/codec").join(name);
    let (source, options) = (Source::open(&path).unwrap(), OpenOptions::default());
    let movie = container::read(&source, container::sniff(&source).unwrap(), &options.limits).unwrap();
    let recipe = Recipe::new(&movie.track, &options).unwrap();
    (source, movie, recipe)
}

/// All pictures of a clip by one decoder, sorted by sample; `hurt` may change the data of a sample.
fn pictures(name: &str, choice: usize, wanted: bool, hurt: impl Fn(usize, &mut Vec<u8>)) -> (Vec<Picture>, usize) {
    let (source, movie, recipe) = movie(name);
    // A decoder may refuse a stream by its parameter sets alone.
    let Ok(mut decoder) = recipe.make(choice) else { return (Vec::new(), 1) };
    let (mut out, mut errors) = (Vec::new(), 0);
    for sample in 0..movie.track.samples.len() {
        let mut data = movie.read_sample(&source, sample).unwrap();
        hurt(sample, &mut data);
        errors += usize::from(guarded("stream", || decoder.push(sample, &data, wanted, &mut out)).is_err());
    }
    errors += usize::from(guarded("stream", || decoder.finish(&mut out)).is_err());
    out.sort_by_key(|p| p.sample);
    (out, errors)
}

fn samples(samples: &Samples) -> Vec<u16> {
    match samples {
        Samples::Byte(v) => v.iter().map(|&b| b.into()).collect(),
        Samples::Word(v) => v.clone(),
    }
}

#[test]
fn both_decoders_of_a_codec_give_the_same_samples() {
    for (name, frames) in [
        ("h264-baseline.mp4", 24),
        ("h264-high.mp4", 40),
        ("h264-open.mp4", 40),
        ("h264-slices.mkv", 24),
        ("h264-vfr.mp4", 12),
        ("hevc-main.mp4", 36),
        ("hevc-10bit.mkv", 12),
    ] {
        let (first, errors) = pictures(name, 0, true, |_, _| {});
        assert_eq!((first.len(), errors), (frames, 0), "{name}, first decoder");
        let (second, errors) = pictures(name, 1, true, |_, _| {});
        assert_eq!((second.len(), errors), (frames, 0), "{name}, second decoder");
        for (a, b) in first.iter().zip(&second) {
            assert_eq!((a.sample, a.yuv.width, a.yuv.height), (b.sample, b.yuv.width, b.yuv.height), "{name}");
            for plane in 0..3 {
                let same = samples(&a.yuv.planes[plane]) == samples(&b.yuv.planes[plane]);
                assert!(same, "{name}: plane {plane} of sample {}", a.sample);
            }
        }
    }
}

#[test]
fn pictures_nobody_refers_to_are_dropped_and_the_rest_is_unchanged() {
    for (name, choice) in [("h264-high.mp4", 0), ("h264-high.mp4", 1), ("hevc-main.mp4", 0), ("hevc-main.mp4", 1)] {
        let (all, _) = pictures(name, choice, true, |_, _| {});
        let (kept, errors) = pictures(name, choice, false, |_, _| {});
        assert_eq!(errors, 0, "{name}");
        assert!(!kept.is_empty() && kept.len() < all.len(), "{name}: {} of {}", kept.len(), all.len());
        for picture in &kept {
            let full = all.iter().find(|p| p.sample == picture.sample).unwrap();
            assert!(samples(&full.yuv.planes[0]) == samples(&picture.yuv.planes[0]), "{name} {}", picture.sample);
        }
    }
}

/// Damage anywhere gives pictures or errors, nothing else, with every decoder in this process.
#[test]
fn damage_gives_pictures_or_errors() {
    let clips = ["h264-high.mp4", "h264-10bit.mp4", "h264-interlaced.mp4", "hevc-main.mp4", "vp9.webm", "vp9-444.mp4"];
    for name in clips {
        let decoders = movie(name).2.names().len();
        for choice in 0..decoders {
            for seed in 0..6usize {
                let (given, _) = pictures(name, choice, true, |sample, data| {
                    let at = (sample * 31 + seed * 97 + 9) % data.len();
                    if (sample + seed) % 3 == 0 {
                        data[at] ^= 1 << (seed % 8);
                    } else if (sample + seed) % 7 == 0 {
                        data.truncate(at);
                    }
                });
                for picture in given {
                    picture.yuv.check().unwrap();
                }
            }
        }
    }
}

#[test]
fn a_picture_over_the_limit_is_refused_before_it_is_decoded() {
    for name in ["h264-high.mp4", "hevc-main.mp4", "vp9.webm"] {
        let (source, movie, mut recipe) = movie(name);
        recipe.options.limits.pixels = 1000;
        let mut out = Vec::new();
        let data = movie.read_sample(&source, 0).unwrap();
        let result = recipe.make(0).and_then(|mut decoder| decoder.push(0, &data, true, &mut out));
        let text = result.unwrap_err().to_string();
        assert!(text.contains("is more than the limit of 1000"), "{name}: {text}");
        assert!(out.is_empty());
    }
}
