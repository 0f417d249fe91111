//! What a user is told about files that are not what they seem; the application puts the file's name in front.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::io::Cursor;
use std::path::{Path, PathBuf};

use zoetrope_media::{DecoderChoice, MediaError, OpenOptions, open};

fn options() -> OpenOptions {
    OpenOptions {
        decoder: DecoderChoice::Embedded,
        child_program: Some(PathBuf::from(env!("CARGO_BIN_EXE_zoetrope-decode-child"))),
        ..OpenOptions::default()
    }
}

fn codec(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/codec").join(name)).unwrap()
}

/// The error for a file of this name and contents.
fn error(name: &str, bytes: &[u8]) -> MediaError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    open(&path, &options()).expect_err(name)
}

#[test]
fn missing_file() {
    let error = open(Path::new("/nonexistent/clip.mp4"), &options()).unwrap_err();
    assert!(matches!(&error, MediaError::Io(e) if e.kind() == std::io::ErrorKind::NotFound), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let error = open(folder.path(), &options()).unwrap_err();
    assert_eq!(error.to_string(), "malformed folder of frames: it holds no picture");
}

#[test]
fn empty_file() {
    assert_eq!(error("empty.mp4", b"").to_string(), "malformed file: it is empty (0 bytes)");
}

#[test]
fn text_named_mp4() {
    let text = b"Dear diary, today I renamed a text file and nobody noticed until it was opened.\n";
    assert_eq!(error("notes.mp4", text).to_string(), "malformed file: it is text, not a video or a picture");
    let noise: Vec<u8> = (0..600u32).map(|i| ((i * 7919) >> 3) as u8 | 0x80).collect();
    assert_eq!(error("noise.mp4", &noise).to_string(), "malformed file: it is no video or picture known here");
}

#[test]
fn truncated_mp4_whose_index_is_last() {
    let bytes = codec("h264-high.mp4");
    let moov = bytes.windows(4).position(|w| w == b"moov").unwrap() - 4;
    let error = error("cut.mp4", &bytes[..moov.min(bytes.len() / 2)]);
    assert!(matches!(error, MediaError::Malformed { .. }), "{error}");
    assert!(error.to_string().contains("moov"), "{error}");
}

/// With the index first, the frames before the cut come out and the clip says that it is cut.
#[test]
fn truncated_mp4_whose_index_is_first() {
    let whole = codec("h264-fragmented.mp4");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.mp4");
    std::fs::write(&path, &whole[..whole.len() * 7 / 10]).unwrap();
    let clip = open(&path, &options()).unwrap();
    let indices: Vec<usize> = (0..clip.times().len()).collect();
    assert!((1..24).contains(&indices.len()), "{}", indices.len());
    assert!(!clip.info().warnings.is_empty());
    assert_eq!(clip.frames(&indices).unwrap().filter(Result::is_ok).count(), indices.len());
}

#[test]
fn video_without_frames() {
    // The sample count of `stsz` and the entry counts of the other tables set to nothing.
    let mut bytes = codec("h264-baseline.mp4");
    for (name, fields) in [("stsz", &[4usize, 8][..]), ("stts", &[4]), ("stsc", &[4]), ("stco", &[4]), ("ctts", &[4])] {
        let Some(at) = bytes.windows(4).position(|w| w == name.as_bytes()) else { continue };
        for field in fields {
            bytes[at + 4 + field..at + 8 + field].fill(0);
        }
    }
    let error = error("nothing.mp4", &bytes);
    assert!(matches!(error, MediaError::Malformed { .. }), "{error}");
    assert!(error.to_string().contains("no"), "{error}");
}

#[test]
fn enormous_png() {
    let mut png = Vec::new();
    image::RgbImage::new(8, 8).write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    png[16..24].copy_from_slice(&[40_000u32.to_be_bytes(), 40_000u32.to_be_bytes()].concat());
    let crc = !png[12..29].iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()))
    });
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    let error = error("huge.png", &png);
    assert_eq!(error.to_string(), "pixels of the picture: 1600000000 is more than the limit of 357913941");
}

#[test]
fn known_formats_without_a_reader_are_named() {
    for (head, name) in
        [(&b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9"[..], "Windows media"), (b"OggS\0\x02\0\0", "Ogg")]
    {
        let error = error("clip", head);
        assert!(matches!(error, MediaError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains(name) && error.to_string().contains("FFmpeg"), "{error}");
    }
}

/// A decoder program that is no decoder, that ends at once, or that does not exist gives an error and never a hang.
#[cfg(feature = "av1")]
#[test]
fn a_broken_decoder_process_is_an_error() {
    for program in ["/bin/cat", "/bin/true", "/nonexistent/zoetrope"] {
        let mut options = options();
        options.child_program = Some(program.into());
        options.limits.child_time = std::time::Duration::from_secs(2);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/codec/av1.mp4");
        let error = open(&path, &options).unwrap_err();
        assert!(error.to_string().contains("AV1"), "{program}: {error}");
    }
}

/// Damaged AV1 may end the decoder process; the clip gives what it can or an error.
#[cfg(feature = "av1")]
#[test]
fn damaged_av1_ends_its_process_at_most() {
    let whole = codec("av1.mp4");
    let mdat = whole.windows(4).position(|w| w == b"mdat").unwrap() + 4;
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..8usize {
        let mut bytes = whole.clone();
        for step in 0..4 {
            let at = mdat + (seed * 131 + step * 577 + 40) % 1800;
            bytes[at] ^= 0x55;
        }
        let path = folder.path().join("damaged.mp4");
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(clip) = open(&path, &options()) {
            let indices: Vec<usize> = (0..clip.times().len()).step_by(5).collect();
            assert!(clip.frames(&indices).unwrap().count() <= indices.len());
        }
    }
}
