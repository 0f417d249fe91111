//! IVF, FLV and Y4M.

use crate::bytes::{cat, keyframes, read, read_with, times};
use zoetrope_media::container::byte_source::ByteSource;
use zoetrope_media::container::movie::Movie;
use zoetrope_media::container::track::{Codec, Container, RawFormat};
use zoetrope_media::{Limits, MediaError};

fn payloads(bytes: &[u8], movie: &Movie) -> Vec<Vec<u8>> {
    let source = ByteSource::from_bytes(bytes);
    (0..movie.track.samples.len()).map(|i| movie.read_sample(&source, i).unwrap()).collect()
}

fn ivf(code: &[u8; 4], clock: [u32; 2], frames: &[(u64, &[u8])]) -> Vec<u8> {
    let mut out = cat(&[b"DKIF\0\0\x20\0", code, &[64, 1, 240, 0]]);
    out.extend(clock.map(u32::to_le_bytes).concat());
    out.extend([0; 8]);
    for (time, data) in frames {
        out.extend((data.len() as u32).to_le_bytes());
        out.extend(time.to_le_bytes());
        out.extend_from_slice(data);
    }
    out
}

#[test]
fn ivf_frames_have_times_and_keyframes_of_their_own() {
    let frames: [(u64, &[u8]); 4] = [(0, &[0x82, 1]), (1, &[0x86, 2]), (2, &[]), (5, &[0x82, 3])];
    let bytes = ivf(b"VP90", [30_000, 1001], &frames);
    let movie = read(&bytes).unwrap();
    assert_eq!((movie.container, movie.track.codec.clone()), (Container::Ivf, Codec::Vp9));
    assert_eq!((movie.track.width, movie.track.height, movie.track.timescale), (320, 240, 30_000));
    assert_eq!((times(&movie), keyframes(&movie)), (vec![0, 1001, 5005], vec![0, 2]));
    assert_eq!(payloads(&bytes, &movie), [[0x82, 1], [0x86, 2], [0x82, 3]]);
    // Cut inside the last frame, then inside its header.
    for cut in [1, 5] {
        let movie = read(&bytes[..bytes.len() - cut]).unwrap();
        assert_eq!(movie.track.samples.len(), 2);
        assert!(movie.warnings[0].contains("the file is cut"), "{:?}", movie.warnings);
    }
}

#[test]
fn ivf_numbers_that_cannot_be_are_refused() {
    let one: [(u64, &[u8]); 1] = [(0, &[0x82, 1, 2, 3])];
    let error = read(&ivf(b"VP90", [0, 1], &one)).unwrap_err();
    assert!(error.to_string().contains("clock of 0/1"), "{error}");
    let error = read(&ivf(b"VP90", [25, u32::MAX], &[(u64::MAX / 2, &[0x82])])).unwrap_err();
    assert!(matches!(error, MediaError::Malformed { part: "ivf frame", .. }), "{error}");
    assert!(read(&ivf(b"VP90", [25, 1], &[])).unwrap_err().to_string().contains("no frame"));
    for limits in [Limits { sample_bytes: 3, ..Limits::default() }, Limits { samples: 0, ..Limits::default() }] {
        assert!(matches!(read_with(&ivf(b"VP90", [25, 1], &one), &limits), Err(MediaError::Limit { .. })));
    }
}

/// A tag of FLV with its size behind it.
fn tag(kind: u8, time: u32, data: &[u8]) -> Vec<u8> {
    let size = data.len() as u32;
    let stamp = [(time >> 16) as u8, (time >> 8) as u8, time as u8, (time >> 24) as u8];
    cat(&[&[kind], &size.to_be_bytes()[1..], &stamp, &[0; 3], data, &(size + 11).to_be_bytes()])
}

fn flv(tags: &[Vec<u8>]) -> Vec<u8> {
    cat(&[b"FLV\x01\x05\0\0\0\x09\0\0\0\0", &tags.concat()])
}

fn record(sps: u8) -> Vec<u8> {
    vec![1, 100, 0, 30, 0xff, 0xe1, 0, 2, 0x67, sps, 1, 0, 2, 0x68, 9]
}

#[test]
fn flv_with_avc_and_its_enhanced_form() {
    let configuration = |first: &[u8], sps| cat(&[first, &record(sps)]);
    let old = [
        tag(18, 0, b"metadata"),
        tag(9, 0, &configuration(&[0x17, 0, 0, 0, 0], 1)),
        tag(9, 0, &cat(&[&[0x17, 1, 0, 0, 80], b"key"])),
        tag(8, 3, &[0xaf, 1, 2]),
        tag(9, 40, &cat(&[&[0x27, 1, 0xff, 0xff, 0xd8], b"one"])),
        tag(9, 0x0100_0000, &cat(&[&[0x27, 1, 0, 0, 0], b"two"])),
        tag(9, 0x0100_0000, &[0x17, 2, 0, 0, 0]),
    ];
    let new = [
        tag(18, 0, b"metadata"),
        tag(9, 0, &configuration(b"\x90avc1", 1)),
        tag(9, 0, &cat(&[b"\x91avc1\0\0\x50", b"key"])),
        tag(8, 3, &[0xaf, 1, 2]),
        tag(9, 40, &cat(&[b"\xa1avc1\xff\xff\xd8", b"one"])),
        tag(9, 0x0100_0000, &cat(&[b"\xa3avc1", b"two"])),
        tag(9, 0x0100_0000, b"\xa2avc1"),
    ];
    for bytes in [flv(&old), flv(&new)] {
        let movie = read(&bytes).unwrap();
        assert_eq!((movie.container, movie.track.codec.clone(), movie.audio_tracks), (Container::Flv, Codec::H264, 1));
        assert_eq!((times(&movie), keyframes(&movie)), (vec![80, 0, 0x0100_0000], vec![0]));
        assert_eq!((movie.track.extradata.clone(), movie.track.length_prefixed), (record(1), true));
        assert_eq!(payloads(&bytes, &movie), [b"key", b"one", b"two"]);
        // The clock of more than 24 bits is hours ahead.
        assert_eq!(movie.warnings, ["one frame stays for 16777 s, the clock may have been set"]);
        let cut = read(&bytes[..bytes.len() - 30]).unwrap();
        assert!(cut.warnings[0].contains("the file is cut"), "{:?}", cut.warnings);
    }
}

#[test]
fn flv_configurations_that_change_go_before_their_keyframes() {
    let configuration = |sps| cat(&[&[0x17, 0, 0, 0, 0], &record(sps)]);
    let frame = |data: &[u8]| cat(&[&[0x17, 1, 0, 0, 0], data]);
    let tags = [
        tag(9, 0, &configuration(1)),
        tag(9, 0, &frame(b"a")),
        tag(9, 40, &configuration(1)),
        tag(9, 40, &frame(b"b")),
        tag(9, 80, &configuration(2)),
        tag(9, 80, &frame(b"c")),
    ];
    let bytes = flv(&tags);
    let movie = read(&bytes).unwrap();
    let sets = b"\0\0\0\x02\x67\x02\0\0\0\x02\x68\x09c";
    assert_eq!(payloads(&bytes, &movie), [&b"a"[..], b"b", sets]);
}

#[test]
fn flv_tags_are_found_again_after_damage() {
    let frame = |time: u32, fill: u8| tag(9, time, &cat(&[&[0x17, 1, 0, 0, 0], &[fill; 40]]));
    let tags: Vec<Vec<u8>> = (0..5).map(|n| frame(40 * n, n as u8)).collect();
    let whole = flv(&tags);
    let second = whole.len() - 4 * tags[0].len();
    // A type that does not exist, a size that ends in the next tag, and one that is longer than the file.
    for (at, bytes) in [(0, &[0x77][..]), (1, &[0, 0, 60]), (1, &[0xff, 0xff, 0xff]), (0, &[0; 30])] {
        let mut damaged = whole.clone();
        damaged[second + at..second + at + bytes.len()].copy_from_slice(bytes);
        let movie = read(&damaged).unwrap();
        assert_eq!(times(&movie), [0, 80, 120, 160], "{bytes:?}");
        let words = format!("no tag at byte {second}, {} bytes were passed over", tags[0].len());
        assert!(movie.warnings[0].starts_with(&words), "{:?}", movie.warnings);
    }
    // A writer that leaves out the sizes behind its tags is read as well.
    let mut bare = whole.clone();
    for n in 1..=5 {
        let end = second + (n - 1) * tags[0].len();
        bare[end - 4..end].copy_from_slice(&[0; 4]);
    }
    assert_eq!((times(&read(&bare).unwrap()).len(), read(&bare).unwrap().warnings.len()), (5, 0));
}

#[test]
fn flv_codecs_without_a_decoder_are_named() {
    let movie = read(&flv(&[tag(9, 0, &[0x12, 0, 1, 2])])).unwrap();
    assert_eq!(movie.track.codec, Codec::Other("Sorenson H.263".into()));
    assert!(read(&flv(&[tag(8, 0, &[1, 2])])).unwrap_err().to_string().contains("no frame of video"));
    let limits = Limits { sample_bytes: 2, ..Limits::default() };
    assert!(matches!(read_with(&flv(&[tag(9, 0, &[0x12, 0, 1, 2])]), &limits), Err(MediaError::Limit { .. })));
}

#[test]
fn y4m_frames_are_planes_behind_a_line() {
    let mut bytes = b"YUV4MPEG2 W3 H2 F30000:1001 It A4:3 C422p10 XCOLORRANGE=FULL XYSCSS=422P10\n".to_vec();
    for value in [1u8, 2] {
        bytes.extend(b"FRAME Ip\n");
        // Luma 3x2 and two chroma planes of 2x2, two bytes a value.
        bytes.extend([value; 2 * (6 + 4 + 4)]);
    }
    let movie = read(&bytes).unwrap();
    let format = RawFormat { depth: 10, half_width: true, interlaced: true, ..RawFormat::default() };
    assert_eq!((movie.container, movie.track.codec.clone()), (Container::Y4m, Codec::Raw(format)));
    assert_eq!((movie.track.width, movie.track.height, movie.track.sar), (3, 2, Some((4, 3))));
    assert_eq!((times(&movie), movie.track.timescale, movie.track.duration), (vec![0, 1001], 30_000, Some(2002)));
    assert_eq!((movie.track.color.full_range, payloads(&bytes, &movie)[1].clone()), (Some(true), vec![2; 28]));
    let cut = read(&bytes[..bytes.len() - 1]).unwrap();
    assert_eq!((cut.track.samples.len(), cut.warnings[0].contains("the file is cut")), (1, true));
}

#[test]
fn y4m_headers_that_cannot_be_are_refused() {
    let error = |text: &str| read(text.as_bytes()).unwrap_err();
    assert!(error("YUV4MPEG2 W0 H2\nFRAME\n").to_string().contains("a picture of 0x2"));
    assert!(error("YUV4MPEG2 W3 H2\n").to_string().contains("no frame"));
    assert!(error(&format!("YUV4MPEG2 {}", "X".repeat(2000))).to_string().contains("does not end"));
    assert!(matches!(error("YUV4MPEG2 W3 H2 C444alpha\nFRAME\n"), MediaError::Unsupported { .. }));
    assert!(matches!(error("YUV4MPEG2 W3 H2 C420p99\nFRAME\n"), MediaError::Unsupported { .. }));
    assert!(matches!(
        error("YUV4MPEG2 W4294967295 H4294967295\nFRAME\n"),
        MediaError::Limit { .. } | MediaError::Malformed { .. }
    ));
}
