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
fn what_ffmpeg_cannot_read_either_names_both_reasons() {
    if missing() {
        return;
    }
    let mut bytes = b"FLV\x01\x05\0\0\0\x09".to_vec();
    bytes.resize(4000, 0x77);
    let error = open_bytes("noise", bytes, &OpenOptions::default()).unwrap_err();
    assert!(matches!(error, MediaError::Malformed { part: "flv file", .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("no frame of video; FFmpeg found no video frame"), "{text}");
}

/// A format that no reader here knows goes to FFmpeg by its contents, whatever the name; what looks malformed here gets
/// a second opinion.
#[test]
fn unknown_formats_and_malformed_files_are_tried() {
    if missing() {
        return;
    }
    let mut qoi = b"qoif\0\0\0\x04\0\0\0\x02\x03\0".to_vec();
    // One pixel of color, then a run of seven.
    qoi.extend([0xfe, 200, 100, 50, 0xc6, 0, 0, 0, 0, 0, 0, 0, 1]);
    let clip = open_bytes("clip.mp4", qoi, &OpenOptions::default()).unwrap();
    assert_eq!((clip.width(), clip.height(), clip.is_still()), (4, 2, true));
    let image = clip.frames(&[0]).unwrap().next().unwrap().unwrap().image;
    assert_eq!(image.data, [200, 100, 50].repeat(8));
    // A video in a header that says nothing of the kind: MPEG-4 behind bytes that are no AVI any more.
    let avi = std::fs::read(path("mpeg4.avi")).unwrap();
    let at = avi.windows(4).position(|w| w == b"avih").unwrap();
    let mut broken = avi;
    broken[at - 4..at].copy_from_slice(b"xdrl");
    match open_bytes("broken.avi", broken, &OpenOptions::default()) {
        Ok(clip) => assert!(clip.info().warnings.iter().any(|w| w.contains("FFmpeg reads it")), "{:?}", clip.info()),
        Err(error) => assert!(error.to_string().contains("FFmpeg found no video frame"), "{error}"),
    }
}

/// Text never reaches FFmpeg: lists of other files are text.
#[test]
fn lists_of_files_are_not_followed() {
    let list = format!("ffconcat version 1.0\nfile '{}'\n", path("mpeg4.avi").display());
    let error = open_bytes("list.mp4", list.into_bytes(), &OpenOptions::default()).unwrap_err();
    assert!(error.to_string().contains("lists are not followed"), "{error}");
}
