//! The system's FFmpeg as a decoder. Without one (`ZOETROPE_FFMPEG` or the PATH) these tests only say so.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::path::{Path, PathBuf};
use std::process::Command;

use zoetrope_media::{Clip, DecoderChoice, MediaError, OpenOptions, Time, open, open_bytes};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/codec").join(name)
}

fn missing() -> bool {
    let program = std::env::var_os("ZOETROPE_FFMPEG").unwrap_or_else(|| "ffmpeg".into());
    let missing = Command::new(program).arg("-version").output().is_err();
    if missing {
        eprintln!("no FFmpeg here: nothing was tested");
    }
    missing
}

/// Times and mean values of FFmpeg's frames (made by reference/make_codec_goldens.py).
fn goldens(name: &str) -> Vec<(Time, f64)> {
    let text = std::fs::read_to_string(path("frames.txt")).unwrap();
    let lines = text.lines().map(|l| l.split(' ').collect::<Vec<_>>()).filter(|w| w[0] == name);
    let golden = lines.map(|w| {
        let (ticks, scale) = w[1].split_once('/').unwrap();
        (Time::new(ticks.parse().unwrap(), scale.parse().unwrap()), w[5].parse().unwrap())
    });
    golden.collect()
}

fn check(clip: &Clip, name: &str) {
    let golden = goldens(name);
    assert_eq!(clip.times(), golden.iter().map(|g| g.0).collect::<Vec<_>>(), "{name}");
    assert_eq!((clip.width(), clip.height(), clip.info().decoder.as_str()), (96, 64, "ffmpeg"), "{name}");
    let indices = [0, 1, 1, 2, golden.len() - 1];
    let frames: Vec<_> = clip.frames(&indices).unwrap().map(Result::unwrap).collect();
    assert_eq!(frames.iter().map(|f| f.index).collect::<Vec<_>>(), indices, "{name}");
    for frame in frames {
        let data = &frame.image.data;
        let mean = data.iter().map(|&b| f64::from(b)).sum::<f64>() / data.len() as f64;
        assert!((mean - golden[frame.index].1).abs() < 0.5, "{name}, frame {}: {mean}", frame.index);
    }
}

#[test]
fn codecs_without_an_embedded_decoder_decode() {
    if missing() {
        return;
    }
    for name in ["mpeg4.avi", "h264-444.mp4"] {
        check(&open(&path(name), &OpenOptions::default()).unwrap(), name);
    }
}

#[test]
fn bytes_and_the_explicit_choice_work_too() {
    if missing() {
        return;
    }
    let clip = open_bytes("clip", std::fs::read(path("mpeg4.avi")).unwrap(), &OpenOptions::default()).unwrap();
    check(&clip, "mpeg4.avi");
    let options = OpenOptions { decoder: DecoderChoice::Ffmpeg, ..OpenOptions::default() };
    check(&open(&path("vp9.webm"), &options).unwrap(), "vp9.webm");
    // Dropping the iterator ends the program.
    assert_eq!(clip.frames(&[0, 5, 11]).unwrap().take(1).count(), 1);
}

#[test]
fn what_ffmpeg_cannot_read_either_is_malformed() {
    if missing() {
        return;
    }
    let mut bytes = b"FLV\x01\x05\0\0\0\x09".to_vec();
    bytes.resize(4000, 0x77);
    let error = open_bytes("noise", bytes, &OpenOptions::default()).unwrap_err();
    assert!(matches!(error, MediaError::Malformed { .. }), "{error}");
}
