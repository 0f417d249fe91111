//! Small real files against what FFmpeg (through PyAV) says about them; see `reference/make_media_goldens.py`.

use std::collections::BTreeMap;
use std::path::Path;

use zoetrope_media::Limits;
use zoetrope_media::container;
use zoetrope_media::container::byte_source::ByteSource;
use zoetrope_media::container::movie::Movie;
use zoetrope_media::container::track::Container;

/// A packet as FFmpeg gives it.
#[derive(Debug, PartialEq)]
struct Packet {
    pts: Option<i128>,
    dts: Option<i128>,
    keyframe: bool,
    shown: bool,
    size: u32,
    crc: u32,
}

/// The golden of one file. Times are in units of `1 / FINE` seconds, in which all clocks are integers.
#[derive(Default)]
struct Golden {
    clock: (i128, i128),
    packets: Vec<Packet>,
    frames: Vec<i128>,
}

const FINE: i128 = 90_000_000 * 128;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/containers")
}

fn goldens() -> BTreeMap<String, Golden> {
    let text = std::fs::read_to_string(folder().join("goldens.txt")).unwrap();
    let mut out: BTreeMap<String, Golden> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines().filter(|l| !l.starts_with('#') && !l.starts_with("broken")) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "file" => {
                name = words[1].to_string();
                let (n, d) = words[3].split_once('/').unwrap();
                out.entry(name.clone()).or_default().clock = (n.parse().unwrap(), d.parse().unwrap());
            }
            "packet" => {
                let golden = out.get_mut(&name).unwrap();
                let fine = |w: &str| w.parse::<i128>().ok().map(|t| t * FINE * golden.clock.0 / golden.clock.1);
                let packet = Packet {
                    pts: fine(words[1]),
                    dts: fine(words[2]),
                    keyframe: words[3] == "1",
                    shown: words[4] == "1",
                    size: words[5].parse().unwrap(),
                    crc: u32::from_str_radix(words[6], 16).unwrap(),
                };
                golden.packets.push(packet);
            }
            _ => {
                let golden = out.get_mut(&name).unwrap();
                let clock = golden.clock;
                let times = words[1..].iter().filter_map(|w| w.parse::<i128>().ok());
                golden.frames = times.map(|t| t * FINE * clock.0 / clock.1).collect();
            }
        }
    }
    out
}

fn movie(name: &str) -> (ByteSource, Movie) {
    let source = ByteSource::open(&folder().join(name)).unwrap();
    let kind = container::sniff(&source).unwrap();
    let movie = container::read(&source, kind, &Limits::default()).unwrap();
    (source, movie)
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ if c & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

/// Files cut in the middle of a frame: FFmpeg gives the broken frame, we do not.
const CUT: [&str; 2] = ["cut.avi", "cut.mp4"];
/// An edit of no length: FFmpeg shows nothing. We take it as "to the end", which is what writers mean by it.
const OURS: [&str; 1] = ["edit_no_length.mp4"];

#[test]
fn shown_times_are_those_of_the_frames_that_ffmpeg_decodes() {
    let goldens = goldens();
    assert!(goldens.len() >= 30, "{} files", goldens.len());
    for (name, golden) in goldens.iter().filter(|(n, _)| !CUT.contains(&n.as_str()) && !OURS.contains(&n.as_str())) {
        let (_, movie) = movie(name);
        let scale = i128::from(movie.track.timescale);
        let shown = movie.track.samples.iter().filter(|s| s.shown);
        let mut times: Vec<i128> = shown.map(|s| i128::from(s.pts) * FINE / scale).collect();
        times.sort_unstable();
        assert_eq!(times, golden.frames, "{name}");
        assert_eq!(i128::from(movie.start) * FINE / scale, golden.frames[0], "{name}");
    }
}

#[test]
fn packets_are_those_of_ffmpeg() {
    for (name, golden) in goldens().iter().filter(|(n, _)| !OURS.contains(&n.as_str())) {
        let (source, movie) = movie(name);
        let scale = i128::from(movie.track.timescale);
        let samples = &movie.track.samples;
        let missing = usize::from(CUT.contains(&name.as_str()));
        assert_eq!(samples.len() + missing, golden.packets.len(), "{name}");
        for (i, (ours, theirs)) in samples.iter().zip(&golden.packets).enumerate() {
            assert_eq!((ours.keyframe, ours.shown), (theirs.keyframe, theirs.shown), "{name} {i}");
            assert_eq!(ours.size, theirs.size, "{name} {i}");
            assert_eq!(crc32(&movie.read_sample(&source, i).unwrap()), theirs.crc, "{name} {i}");
            // AVI stores no presentation times; FFmpeg guesses those of packets and corrects them after decoding.
            if movie.container != Container::Avi && ours.shown {
                assert_eq!(Some(i128::from(ours.pts) * FINE / scale), theirs.pts, "{name} {i}");
            }
            // Matroska stores no decoding times, and raised composition offsets only move them.
            if movie.container != Container::Matroska && name != "negative.mp4" && ours.shown {
                assert_eq!(Some(i128::from(ours.dts) * FINE / scale), theirs.dts, "{name} {i}");
            }
        }
    }
}

#[test]
fn every_sample_reads_and_none_is_shown_before_it_is_decoded() {
    for name in goldens().keys() {
        let (source, movie) = movie(name);
        for (i, sample) in movie.track.samples.iter().enumerate() {
            assert_eq!(movie.read_sample(&source, i).unwrap().len(), sample.size as usize, "{name} {i}");
        }
        if movie.container == Container::Matroska {
            assert!(movie.track.samples.iter().all(|s| s.dts <= s.pts), "{name}");
            assert!(movie.track.samples.is_sorted_by_key(|s| s.dts), "{name}");
        }
    }
}

#[test]
fn cut_files_warn_and_keep_their_prefix() {
    for (cut, whole) in [("cut.mp4", "faststart.mp4"), ("cut.mkv", "plain.mkv"), ("cut.avi", "mpeg4.avi")] {
        let ((_, cut), (_, whole)) = (movie(cut), movie(whole));
        assert!(cut.warnings.iter().any(|w| w.contains("the file is cut")), "{:?}", cut.warnings);
        assert!(cut.track.samples.len() < whole.track.samples.len());
        for (a, b) in cut.track.samples.iter().zip(&whole.track.samples) {
            assert_eq!((a.offset, a.size, a.pts, a.keyframe), (b.offset, b.size, b.pts, b.keyframe));
        }
    }
    let ((_, cut), (_, whole)) = (movie("cut.ts"), movie("plain.ts"));
    let n = cut.track.samples.len();
    assert!((10..whole.track.samples.len()).contains(&n));
    // The last frame of a stream ends where the stream ends.
    assert_eq!(cut.track.samples[..n - 1], whole.track.samples[..n - 1]);
}

#[test]
fn an_edit_of_no_length_shows_the_rest() {
    let (_, movie) = movie("edit_no_length.mp4");
    assert!(movie.track.samples.iter().all(|s| s.shown));
    assert_eq!(movie.start, 0);
}
