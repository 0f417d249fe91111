//! The sandbox gives what the same file gives in this process: what it is, all frames to the byte, and errors.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use zoetrope_media::sandbox::{ARGUMENT, Sandbox, SandboxOptions, SandboxedClip};
use zoetrope_media::{Clip, DecoderChoice, Frame, MediaError, OpenOptions, open};

const PROGRAM: &str = env!("CARGO_BIN_EXE_zoetrope-decode-child");

fn sandbox() -> Sandbox {
    let command = Some(vec![PROGRAM.into(), ARGUMENT.into()]);
    Sandbox::start(SandboxOptions { command, ..SandboxOptions::default() }).unwrap()
}

fn options(decoder: DecoderChoice) -> OpenOptions {
    OpenOptions { decoder, threads: 2, child_program: Some(PathBuf::from(PROGRAM)), ..OpenOptions::default() }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// All small media files of this crate.
fn files() -> Vec<PathBuf> {
    let folders = ["codec", "containers", "subtitle"].map(golden);
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_none_or(|extension| extension != "txt"));
    files.sort();
    assert!(files.len() > 50, "{}", files.len());
    files
}

fn all(count: usize) -> Vec<usize> {
    (0..count).collect()
}

/// Index, ticks, scale and pixels; an error as its text.
type Plain = Result<(usize, i64, u32, Vec<u8>), String>;

fn plain(frames: impl Iterator<Item = Result<Frame, MediaError>>) -> Vec<Plain> {
    let frame = |frame: Frame| (frame.index, frame.time.ticks, frame.time.scale, frame.image.data);
    frames.map(|next| next.map(frame).map_err(|error| error.to_string())).collect()
}

fn compare(name: &str, here: &Clip, there: &SandboxedClip) {
    assert_eq!(here.info(), there.info(), "{name}");
    assert_eq!(here.times(), there.times(), "{name}");
    assert_eq!((here.is_still(), here.end().to_bits()), (there.is_still(), there.end().to_bits()), "{name}");
    assert_eq!(here.largest_size(), there.largest_size(), "{name}");
    assert_eq!(here.subtitle_tracks(), there.subtitle_tracks(), "{name}");
    for track in 0..here.subtitle_tracks().len() {
        let (here, there) = (here.subtitles(track), there.subtitles(track));
        assert_eq!(here.map_err(|e| e.to_string()), there.map_err(|e| e.to_string()), "{name}");
    }
    let indices = all(here.times().len());
    let (mut one, mut two) = (here.frames(&indices).unwrap(), there.frames(&indices).unwrap());
    assert_eq!(plain(one.by_ref()), plain(two.by_ref()), "{name}");
    let counts = (one.repeated(), one.damaged(), one.lost());
    assert_eq!(counts, (two.repeated(), two.damaged(), two.lost()), "{name}");
}

#[test]
fn frames_are_those_of_this_process() {
    let (sandbox, options) = (sandbox(), options(DecoderChoice::Embedded));
    let (mut opened, mut refused) = (0, 0);
    for path in files() {
        let name = path.file_name().unwrap().to_string_lossy();
        match (open(&path, &options), sandbox.open(&path, &options)) {
            (Ok(here), Ok(there)) => {
                assert_eq!(here.tracks(), there.tracks(), "{name}");
                compare(&name, &here, &there);
                opened += 1;
            }
            (Err(here), Err(there)) => {
                assert_eq!(here.to_string(), there.to_string(), "{name}");
                assert_eq!(std::mem::discriminant(&here), std::mem::discriminant(&there), "{name}");
                refused += 1;
            }
            (here, there) => panic!("{name}: {:?} here, {:?} there", here.err(), there.err()),
        }
    }
    println!("{opened} files opened, {refused} refused alike");
}

#[test]
fn pictures_and_bytes_in_memory_work_too() {
    let (sandbox, options) = (sandbox(), options(DecoderChoice::Embedded));
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8, y as u8, 200]))
        .write_to(&mut png, image::ImageFormat::Png)
        .unwrap();
    let here = zoetrope_media::open_bytes("x", png.get_ref().clone(), &options).unwrap();
    compare("png", &here, &sandbox.open_bytes(png.get_ref(), &options).unwrap());
    let error = sandbox.open_bytes(b"no picture at all", &options).map(|_| ()).unwrap_err();
    assert!(matches!(error, MediaError::Malformed { .. } | MediaError::Unsupported { .. }), "{error}");
    for not_a_file in ["/", "/dev/null"] {
        let error = sandbox.open(Path::new(not_a_file), &options).map(|_| ()).unwrap_err();
        assert!(matches!(error, MediaError::Caller(_)), "{error}");
    }
}

#[test]
fn what_only_ffmpeg_reads_is_read_without_a_network_and_without_writing() {
    if std::process::Command::new("ffmpeg").arg("-version").output().is_err() {
        eprintln!("no FFmpeg here: nothing was tested");
        return;
    }
    let (sandbox, options) = (sandbox(), options(DecoderChoice::Auto));
    for name in ["codec/mpeg4.avi", "codec/h264-444.mp4"] {
        let (here, there) = (open(&golden(name), &options).unwrap(), sandbox.open(&golden(name), &options).unwrap());
        assert_eq!(there.info().decoder, "ffmpeg");
        compare(name, &here, &there);
        let bytes = std::fs::read(golden(name)).unwrap();
        compare(name, &here, &sandbox.open_bytes(&bytes, &options).unwrap());
    }
}

#[test]
fn iterators_may_be_dropped_early_and_run_side_by_side() {
    let (sandbox, options) = (sandbox(), options(DecoderChoice::Embedded));
    let path = golden("codec/h264-high.mp4");
    let (here, clip) = (open(&path, &options).unwrap(), sandbox.open(&path, &options).unwrap());
    let indices = all(here.times().len());
    let whole = plain(here.frames(&indices).unwrap());
    for taken in [0, 1, 3] {
        assert_eq!(plain(clip.frames(&indices).unwrap().take(taken)), whole[..taken]);
    }
    let (mut one, mut two) = (clip.frames(&indices).unwrap(), clip.frames(&indices[2..]).unwrap());
    assert_eq!(plain(two.by_ref().take(2)), whole[2..4]);
    assert_eq!(plain(one.by_ref()), whole);
    assert_eq!(plain(two), whole[4..]);
    let error = clip.frames(&[indices.len()]).map(|_| ()).unwrap_err();
    assert!(matches!(error, MediaError::Caller(_)), "{error}");
    let error = clip.frames(&[2, 1]).map(|_| ()).unwrap_err();
    assert!(matches!(error, MediaError::Caller(_)), "{error}");
}

#[test]
fn a_program_that_does_not_answer_is_told() {
    for program in ["/bin/true", "/bin/cat"] {
        let command = Some(vec![program.into()]);
        let answer_time = std::time::Duration::from_secs(2);
        let started = Sandbox::start(SandboxOptions { command, answer_time, ..SandboxOptions::default() });
        assert!(matches!(started.map(|_| ()), Err(MediaError::Unsupported { .. })), "{program}");
    }
}

/// The cost of the sandbox: `cargo test -p zoetrope-media --test sandbox -- --ignored --nocapture` with the file
/// `ZOETROPE_CLIP`.
#[test]
#[ignore = "a measurement"]
fn throughput() {
    let path = PathBuf::from(std::env::var_os("ZOETROPE_CLIP").unwrap());
    let (sandbox, options) = (sandbox(), options(DecoderChoice::Embedded));
    let count = open(&path, &options).unwrap().times().len();
    for (what, indices) in [("all", all(count)), ("one in 15", all(count).into_iter().step_by(15).collect())] {
        for _ in 0..5 {
            let start = Instant::now();
            let here = open(&path, &options).unwrap().frames(&indices).unwrap().map(Result::unwrap).count();
            let in_process = start.elapsed();
            let start = Instant::now();
            let clip = sandbox.open(&path, &options).unwrap();
            let opened = start.elapsed();
            let there = clip.frames(&indices).unwrap().map(Result::unwrap).count();
            println!(
                "{what}: {here}/{there} frames: {in_process:?} here, {:?} there (open {opened:?})",
                start.elapsed()
            );
        }
    }
}
