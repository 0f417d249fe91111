//! Every codec, container shape and color description against what FFmpeg decodes (tests/golden/codec, made by
//! reference/make_codec_goldens.py).
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use zoetrope_media::container::{self, byte_source::ByteSource};
use zoetrope_media::{Clip, DecoderChoice, Limits, MediaError, OpenOptions, Time, open, open_bytes};

const CLIPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/codec");

/// What FFmpeg gives for one frame.
struct Golden {
    time: Time,
    size: (u32, u32),
    crc: u32,
    mean: f64,
}

fn goldens() -> BTreeMap<String, Vec<Golden>> {
    let text = std::fs::read_to_string(Path::new(CLIPS).join("frames.txt")).unwrap();
    let mut all: BTreeMap<String, Vec<Golden>> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (ticks, scale) = words[1].split_once('/').unwrap();
        all.entry(words[0].into()).or_default().push(Golden {
            time: Time::new(ticks.parse().unwrap(), scale.parse().unwrap()),
            size: (words[2].parse().unwrap(), words[3].parse().unwrap()),
            crc: u32::from_str_radix(words[4], 16).unwrap(),
            mean: words[5].parse().unwrap(),
        });
    }
    all
}

fn options() -> OpenOptions {
    OpenOptions {
        threads: 2,
        decoder: DecoderChoice::Embedded,
        child_program: Some(PathBuf::from(env!("CARGO_BIN_EXE_zoetrope-decode-child"))),
        ..OpenOptions::default()
    }
}

fn clip(name: &str) -> Clip {
    open(&Path::new(CLIPS).join(name), &options()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()))
    })
}

fn mean(bytes: &[u8]) -> f64 {
    bytes.iter().map(|&b| f64::from(b)).sum::<f64>() / bytes.len() as f64
}

/// All frames of `name` against the goldens; `exact` asks for equal bytes, else means within `tolerance`.
fn compare(name: &str, exact: bool, tolerance: f64) {
    let all = goldens();
    let golden = &all[name];
    let clip = clip(name);
    assert_eq!(clip.times().len(), golden.len(), "{name}: number of frames");
    let times: Vec<Time> = golden.iter().map(|g| g.time).collect();
    assert_eq!(clip.times(), times, "{name}: times");
    let indices: Vec<usize> = (0..golden.len()).collect();
    let mut frames = clip.frames(&indices).unwrap();
    let mut count = 0;
    for (index, frame) in frames.by_ref().enumerate() {
        let frame = frame.unwrap_or_else(|e| panic!("{name}, frame {index}: {e}"));
        let golden = &golden[index];
        assert_eq!((frame.index, frame.time), (index, golden.time), "{name}");
        assert_eq!((frame.image.width, frame.image.height), golden.size, "{name}, frame {index}");
        assert_eq!((clip.width(), clip.height()), golden.size, "{name}");
        if exact {
            assert_eq!(crc32(&frame.image.data), golden.crc, "{name}, frame {index}: picture");
        } else {
            let off = (mean(&frame.image.data) - golden.mean).abs();
            assert!(off <= tolerance, "{name}, frame {index}: mean is off by {off}");
        }
        count += 1;
    }
    assert_eq!((count, frames.repeated(), frames.lost()), (golden.len(), 0, 0), "{name}");
}

#[test]
fn h264_progressive_is_exact() {
    for name in ["h264-baseline.mp4", "h264-high.mp4", "h264-slices.mkv", "h264-open.mp4", "h264-fragmented.mp4"] {
        compare(name, true, 0.0);
    }
}

#[test]
fn color_tags_are_honored() {
    compare("h264-full709.mp4", true, 0.0);
    compare("h264-limited709.mp4", true, 0.0);
    let info = clip("h264-full709.mp4").info().clone();
    assert_eq!((info.color.matrix, info.color.full_range), (Some(1), Some(true)));
}

#[test]
fn rotation_is_applied() {
    for degrees in [90, 180, 270] {
        let name = format!("h264-rotated{degrees}.mp4");
        compare(&name, true, 0.0);
        assert_eq!(clip(&name).info().rotation, degrees);
    }
}

#[test]
fn variable_rate_and_edit_lists_keep_their_times() {
    compare("h264-vfr.mp4", true, 0.0);
    compare("h264-edit.mp4", true, 0.0);
}

#[test]
fn transport_streams_give_the_same_frames() {
    compare("h264-high.ts", true, 0.0);
}

#[test]
fn hevc_is_exact() {
    compare("hevc-main.mp4", true, 0.0);
}

#[test]
fn vp9_is_exact() {
    compare("vp9.webm", true, 0.0);
}

#[cfg(feature = "av1")]
#[test]
fn av1_is_exact_through_the_decoder_process() {
    compare("av1.mp4", true, 0.0);
    compare("av1-10bit.mkv", true, 0.0);
}

/// FFmpeg interpolates chroma between columns when width and height are odd; we do not.
#[test]
fn interlaced_pictures_are_exact_and_odd_ones_close() {
    compare("vp9-odd.webm", false, 1.0);
    compare("h264-interlaced.mp4", true, 0.0);
    assert_eq!(clip("h264-interlaced.mp4").info().decoder, "rust_h264");
}

#[test]
fn deep_samples_and_other_chroma_are_exact() {
    for name in ["h264-10bit.mp4", "h264-422.mp4", "hevc-10bit.mkv", "vp9-444.mp4"] {
        compare(name, true, 0.0);
    }
}

#[test]
fn any_selection_gives_the_frames_of_a_full_decode() {
    for name in ["h264-high.mp4", "h264-open.mp4", "hevc-main.mp4", "vp9.webm", "h264-vfr.mp4"] {
        let clip = clip(name);
        let golden = &goldens()[name];
        let count = clip.times().len();
        for start in 0..count {
            let indices = [start, (start + count) / 2, count - 1, count - 1];
            let frames: Vec<_> = clip.frames(&indices).unwrap().map(Result::unwrap).collect();
            assert_eq!(frames.len(), indices.len());
            for (frame, index) in frames.iter().zip(indices) {
                assert_eq!(crc32(&frame.image.data), golden[index].crc, "{name}, frame {index} from {start}");
            }
        }
    }
}

/// The bytes of a clip whose sample `number` is overwritten behind its first bytes, and its place in presentation
/// order.
fn overwritten(name: &str, number: usize) -> (Vec<u8>, usize) {
    let mut bytes = std::fs::read(Path::new(CLIPS).join(name)).unwrap();
    let source = ByteSource::from_bytes(bytes.clone());
    let kind = container::sniff(&source).unwrap();
    let samples = container::read(&source, kind, &Limits::default()).unwrap().track.samples;
    let (from, size) = (samples[number].offset as usize, samples[number].size as usize);
    bytes[from + 6..from + size].fill(0);
    (bytes, samples.iter().filter(|sample| sample.pts < samples[number].pts).count())
}

#[test]
fn frames_after_an_error_are_told() {
    for name in ["h264-baseline.mp4", "h264-high.mp4", "hevc-main.mp4"] {
        let (bytes, place) = overwritten(name, 5);
        let clip = open_bytes(name, bytes, &options()).unwrap();
        let indices: Vec<usize> = (0..clip.times().len()).collect();
        let golden = &goldens()[name];
        let mut frames = clip.frames(&indices).unwrap();
        let (mut odd, mut told) = (Vec::new(), 0);
        while let Some(frame) = frames.next() {
            let frame = frame.unwrap();
            let now = frames.damaged() + frames.repeated();
            if now == told && crc32(&frame.image.data) != golden[frame.index].crc {
                odd.push(frame.index);
            }
            told = now;
        }
        assert_eq!(odd, [0; 0], "{name}: other pictures than before the damage, and nothing is told");
        assert!(told > 0 && told <= indices.len(), "{name}: frame {place} was overwritten");
    }
}

#[test]
fn a_dropped_iterator_stops_and_the_clip_goes_on() {
    let clip = clip("h264-high.mp4");
    let indices: Vec<usize> = (0..clip.times().len()).collect();
    for taken in [0, 1, 5] {
        assert_eq!(clip.frames(&indices).unwrap().take(taken).count(), taken);
    }
    assert_eq!(clip.frames(&indices).unwrap().count(), indices.len());
    assert_eq!(clip.frames(&[]).unwrap().count(), 0);
}

#[test]
fn wrong_indices_are_the_callers_fault() {
    let clip = clip("h264-vfr.mp4");
    assert!(matches!(clip.frames(&[12]), Err(MediaError::Caller(_))));
    assert!(matches!(clip.frames(&[3, 2]), Err(MediaError::Caller(_))));
}

#[test]
fn codecs_without_a_decoder_are_named_with_the_remedy() {
    for (file, codec) in [("mpeg4.avi", "MPEG-4 part 2"), ("mpeg2.ts", "MPEG-2 video"), ("h264-444.mp4", "H.264")] {
        let error = open(&Path::new(CLIPS).join(file), &options()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, MediaError::Unsupported { .. }), "{file}: {text}");
        assert!(text.contains(codec) && text.contains("FFmpeg"), "{file}: {text}");
    }
}

#[test]
fn bytes_in_memory_are_a_clip_too() {
    let bytes = std::fs::read(Path::new(CLIPS).join("vp9.webm")).unwrap();
    let clip = open_bytes("a clip", bytes, &options()).unwrap();
    assert_eq!(clip.frames(&[0, 23]).unwrap().filter(Result::is_ok).count(), 2);
    assert!(!clip.is_still());
}
