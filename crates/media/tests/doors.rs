//! Files as people bring them: joined, repackaged, framed in another way, through a pipe. The frames are those of the
//! goldens of tests/golden/codec.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::path::{Path, PathBuf};

use zoetrope_media::container::byte_source::ByteSource;
use zoetrope_media::container::movie::Movie;
use zoetrope_media::container::{read, sniff};
use zoetrope_media::{Clip, DecoderChoice, Limits, OpenOptions, TrackKind, open, open_bytes, open_part, tracks};

fn options() -> OpenOptions {
    OpenOptions {
        threads: 2,
        decoder: DecoderChoice::Embedded,
        child_program: Some(PathBuf::from(env!("CARGO_BIN_EXE_zoetrope-decode-child"))),
        ..OpenOptions::default()
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/codec").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// Checksums of FFmpeg's frames of a golden file.
fn golden(name: &str) -> Vec<u32> {
    let text = std::fs::read_to_string(path("frames.txt")).unwrap();
    let lines = text.lines().map(|l| l.split(' ').collect::<Vec<_>>()).filter(|w| w[0] == name);
    lines.map(|w| u32::from_str_radix(w[4], 16).unwrap()).collect()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()))
    })
}

/// Checksums of all frames of `clip`; none may be lost or repeated.
fn frames(clip: &Clip) -> Vec<u32> {
    let indices: Vec<usize> = (0..clip.times().len()).collect();
    let mut frames = clip.frames(&indices).unwrap();
    let sums = frames.by_ref().map(|f| crc32(&f.unwrap().image.data)).collect();
    assert_eq!((frames.lost(), frames.repeated()), (0, 0));
    sums
}

fn opened(bytes: Vec<u8>) -> Clip {
    open_bytes("clip", bytes, &options()).unwrap()
}

fn movie(bytes: &[u8]) -> (ByteSource, Movie) {
    let source = ByteSource::from_bytes(bytes);
    let movie = read(&source, sniff(&source).unwrap(), &Limits::default()).unwrap();
    (source, movie)
}

/// As the files of a tar archive are.
#[test]
fn a_film_inside_another_file_is_read_where_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["h264-high.mp4", "vp9.webm"] {
        let (before, film, archive) = (vec![b'x'; 777], bytes(name), folder.path().join("archive"));
        std::fs::write(&archive, [&before[..], &film, b"after".repeat(300).as_slice()].concat()).unwrap();
        let (begin, len) = (before.len() as u64, film.len() as u64);
        assert_eq!(frames(&open_part(&archive, begin, len, &options()).unwrap()), golden(name));
        assert!(open_part(&archive, begin, len + 1501, &options()).is_err(), "more than there is");
        assert!(open_part(&archive, u64::MAX, 2, &options()).is_err());
        assert!(open_part(&archive, begin, 0, &options()).is_err());
    }
}

/// The next part brings parameter sets of its own, and its offsets count from its own start.
#[test]
fn joined_files_show_the_frames_of_both() {
    for parts in [["h264-baseline.mp4", "h264-high.mp4"], ["h264-fragmented.mp4", "h264-fragmented.mp4"]] {
        let clip = opened(parts.map(bytes).concat());
        assert_eq!(frames(&clip), parts.map(golden).concat(), "{parts:?}");
        assert!(clip.times().windows(2).all(|t| t[0].seconds() < t[1].seconds()), "{parts:?}");
    }
    let clip = opened([bytes("vp9.webm"), bytes("vp9.webm")].concat());
    assert_eq!(frames(&clip), [golden("vp9.webm"), golden("vp9.webm")].concat());
}

#[test]
fn start_codes_where_lengths_belong_are_read() {
    let mut file = bytes("h264-high.mp4");
    let (_, movie) = movie(&file);
    for sample in &movie.track.samples {
        let (mut at, end) = (sample.offset as usize, sample.offset as usize + sample.size as usize);
        while at < end {
            let length = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
            file[at..at + 4].copy_from_slice(&[0, 0, 0, 1]);
            at += 4 + length;
        }
    }
    let clip = opened(file);
    assert_eq!(frames(&clip), golden("h264-high.mp4"));
    assert!(clip.info().warnings.iter().any(|w| w.contains("start codes")), "{:?}", clip.info().warnings);
}

#[test]
fn ivf_and_flv_show_the_frames_of_other_containers() {
    let webm = bytes("vp9.webm");
    let (source, movie) = movie(&webm);
    let mut ivf =
        [&b"DKIF\0\0\x20\0VP90\x60\0\x40\0"[..], &1000u32.to_le_bytes(), &1u32.to_le_bytes(), &[0; 8]].concat();
    for (i, sample) in movie.track.samples.iter().enumerate() {
        let data = movie.read_sample(&source, i).unwrap();
        ivf.extend((data.len() as u32).to_le_bytes());
        ivf.extend((sample.pts as u64).to_le_bytes());
        ivf.extend(data);
    }
    let clip = opened(ivf);
    assert_eq!(frames(&clip), golden("vp9.webm"));
    assert_eq!((clip.info().container.as_str(), clip.info().decoder.as_str()), ("ivf", "rusty_vp9"));
    let clip = opened(flv_of(&bytes("h264-high.mp4")));
    assert_eq!(frames(&clip), golden("h264-high.mp4"));
}

#[test]
fn raw_frames_are_converted() {
    let mut y4m = b"YUV4MPEG2 W4 H2 F25:1 C420jpeg\n".to_vec();
    for value in [16u8, 235] {
        y4m.extend(b"FRAME\n");
        y4m.extend([[value; 8].as_slice(), &[128; 4]].concat());
    }
    let clip = opened(y4m);
    assert_eq!((clip.times().len(), clip.width(), clip.height(), clip.info().fps), (2, 4, 2, 25.0));
    let images: Vec<Vec<u8>> = clip.frames(&[0, 1]).unwrap().map(|f| f.unwrap().image.data).collect();
    assert_eq!(images, [vec![0; 24], vec![255; 24]]);
}

/// An H.264 track as FLV: a tag with the configuration, then one for each frame.
fn flv_of(mp4: &[u8]) -> Vec<u8> {
    let (source, movie) = movie(mp4);
    let mut flv = b"FLV\x01\x01\0\0\0\x09\0\0\0\0".to_vec();
    let mut tag = |time: i64, data: &[u8]| {
        let size = data.len() as u32;
        flv.push(9);
        flv.extend(&size.to_be_bytes()[1..]);
        flv.extend([(time >> 16) as u8, (time >> 8) as u8, time as u8, (time >> 24) as u8, 0, 0, 0]);
        flv.extend(data);
        flv.extend((size + 11).to_be_bytes());
    };
    tag(0, &[&[0x17, 0, 0, 0, 0], movie.track.extradata.as_slice()].concat());
    let milliseconds = |ticks: i64| ticks * 1000 / i64::from(movie.track.timescale);
    for (i, sample) in movie.track.samples.iter().enumerate() {
        let first = if sample.keyframe { 0x17 } else { 0x27 };
        let offset = milliseconds(sample.pts) - milliseconds(sample.dts);
        let head = [first, 1, (offset >> 16) as u8, (offset >> 8) as u8, offset as u8];
        tag(milliseconds(sample.dts), &[&head[..], &movie.read_sample(&source, i).unwrap()].concat());
    }
    flv
}

#[cfg(unix)]
#[test]
fn a_pipe_shows_the_frames_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.mp4");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, bytes("h264-high.mp4"))
    });
    let clip = open(&pipe, &options()).unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(frames(&clip), golden("h264-high.mp4"));
    let silent = OpenOptions { pipe_time: std::time::Duration::from_millis(20), ..options() };
    let error = open(&pipe, &silent).unwrap_err();
    assert!(error.to_string().contains("the pipe gave nothing for 0.02 s"), "{error}");
}

#[test]
fn tracks_are_listed_and_one_can_be_forced() {
    let list = tracks(&path("h264-high.mp4"), &options()).unwrap();
    assert_eq!(list.len(), 1);
    let track = &list[0];
    assert_eq!((track.number, track.codec.as_str(), track.width, track.height), (0, "H.264", 96, 64));
    assert_eq!((track.frames, track.kind), (Some(golden("h264-high.mp4").len() as u64), TrackKind::Video));
    assert!(track.used && track.default && track.decoder == "rusty_h264");
    assert_eq!(tracks(&path("mpeg4.avi"), &options()).unwrap()[0].decoder, "ffmpeg");
    let second = OpenOptions { track: Some(1), ..options() };
    let error = open(&path("h264-high.mp4"), &second).unwrap_err();
    assert_eq!(error.to_string(), "video track 1 wanted, 1 is there");
}
