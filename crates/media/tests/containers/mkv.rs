//! Matroska and WebM.

use crate::bytes::{cat, element, keyframes, open_element, read, read_with, times};
use zoetrope_media::container::byte_source::ByteSource;
use zoetrope_media::container::movie::Movie;
use zoetrope_media::container::track::{Codec, Orientation};
use zoetrope_media::{Limits, MediaError};

pub(crate) const SEGMENT: u32 = 0x1853_8067;
pub(crate) const INFO: u32 = 0x1549_a966;
pub(crate) const TRACKS: u32 = 0x1654_ae6b;
pub(crate) const CLUSTER: u32 = 0x1f43_b675;

pub(crate) fn head() -> Vec<u8> {
    element(0x1a45_dfa3, &[&element(0x4282, &[b"matroska"])])
}

pub(crate) fn info(scale: u32) -> Vec<u8> {
    element(INFO, &[&element(0x2a_d7b1, &[&scale.to_be_bytes()]), &element(0x4489, &[&100f32.to_be_bytes()])])
}

pub(crate) fn track(extra: &[&[u8]]) -> Vec<u8> {
    let video = element(0xe0, &[&element(0xb0, &[&[1, 64]]), &element(0xba, &[&[240]])]);
    let parts = cat(&[&element(0xd7, &[&[1]]), &element(0x83, &[&[1]]), &element(0x86, &[b"V_VP9"]), &video]);
    element(TRACKS, &[&element(0xae, &[&parts, &cat(extra)])])
}

/// A simple block of track 1.
pub(crate) fn simple(time: i16, key: bool, data: &[u8]) -> Vec<u8> {
    element(0xa3, &[&[0x81], &time.to_be_bytes(), &[if key { 0x80 } else { 0 }], data])
}

fn laced(kind: u8, data: &[u8]) -> Vec<u8> {
    element(0xa3, &[&[0x81, 0, 0, 0x80 | kind << 1], data])
}

pub(crate) fn cluster(time: u8, blocks: &[&[u8]]) -> Vec<u8> {
    element(CLUSTER, &[&element(0xe7, &[&[time]]), &cat(blocks)])
}

pub(crate) fn file(parts: &[&[u8]]) -> Vec<u8> {
    cat(&[&head(), &element(SEGMENT, parts)])
}

pub(crate) fn payloads(bytes: &[u8], movie: &Movie) -> Vec<Vec<u8>> {
    let source = ByteSource::from_bytes(bytes);
    (0..movie.track.samples.len()).map(|i| movie.read_sample(&source, i).unwrap()).collect()
}

#[test]
fn simple_blocks_and_groups() {
    let block = |time: i16, data: &[u8]| element(0xa1, &[&[0x81], &time.to_be_bytes(), &[0], data]);
    let key = element(0xa0, &[&block(40, b"two"), &element(0x9b, &[&[20]])]);
    let refers = element(0xa0, &[&block(-10, b"four"), &element(0xfb, &[&[0xff]])]);
    let other = element(0xa3, &[&[0x82, 0, 0, 0x80], b"sound"]);
    let first = cluster(100, &[&simple(0, true, b"one"), &other, &key]);
    let second = cluster(200, &[&simple(0, false, b"three"), &refers]);
    let bytes = file(&[&info(1_000_000), &track(&[]), &first, &second]);
    let movie = read(&bytes).unwrap();
    assert_eq!(times(&movie), [100, 140, 200, 190]);
    assert_eq!(keyframes(&movie), [0, 1]);
    assert_eq!((movie.track.timescale, movie.track.duration, movie.start), (1000, None, 100));
    assert_eq!((movie.track.width, movie.track.height, movie.track.codec.clone()), (320, 240, Codec::Vp9));
    assert_eq!(payloads(&bytes, &movie), [&b"one"[..], b"two", b"three", b"four"]);
    let dts: Vec<i64> = movie.track.samples.iter().map(|s| s.dts).collect();
    assert_eq!(dts, [90, 130, 180, 190]);
    assert_eq!(movie.warnings, Vec::<String>::new());
}

#[test]
fn unknown_sizes_end_at_the_next_top_element() {
    let open = |time: u8, block: &[u8]| open_element(CLUSTER, &[&element(0xe7, &[&[time]]), block]);
    let cues = element(0x1c53_bb6b, &[&[0; 5]]);
    let clusters = cat(&[&open(0, &simple(1, true, b"a")), &open(10, &simple(2, false, b"b")), &cues]);
    let last = open(20, &simple(3, false, b"c"));
    let bytes = cat(&[&head(), &open_element(SEGMENT, &[&info(1_000_000), &track(&[]), &clusters, &last])]);
    let movie = read(&bytes).unwrap();
    assert_eq!(times(&movie), [1, 12, 23]);
    assert_eq!(payloads(&bytes, &movie), [b"a", b"b", b"c"]);
}

#[test]
fn clocks_are_whole_ticks() {
    let build = |scale: u32| file(&[&info(scale), &track(&[]), &cluster(7, &[&simple(0, true, b"a")])]);
    let clock = |scale: u32| {
        let movie = read(&build(scale)).unwrap();
        (movie.track.timescale, movie.start)
    };
    assert_eq!(clock(1_000_000), (1000, 7));
    assert_eq!(clock(100_000), (10_000, 7));
    assert_eq!(clock(1), (1_000_000_000, 7));
    assert_eq!(clock(333_333), (1_000_000_000, 7 * 333_333));
    assert_eq!(clock(0), (1000, 7));
}

#[test]
fn laces_are_taken_apart() {
    let frame_ns = element(0x23_e383, &[&10_000_000u32.to_be_bytes()]);
    let build =
        |kind: u8, data: &[u8]| file(&[&info(1_000_000), &track(&[&frame_ns]), &cluster(5, &[&laced(kind, data)])]);
    let xiph = [&[2u8, 255, 1, 2][..], &[7; 256], &[8; 2], &[9; 3]].concat();
    let equal = [&[2u8][..], &[7; 4], &[8; 4], &[9; 4]].concat();
    // EBML: first size 5 (0x85), then a difference of -2 (0xbd: 61 - 63).
    let ebml = [&[2u8, 0x85, 0xbd][..], &[7; 5], &[8; 3], &[9; 1]].concat();
    for (kind, data, sizes) in [(1, xiph, [256, 2, 3]), (2, equal, [4, 4, 4]), (3, ebml, [5, 3, 1])] {
        let bytes = build(kind, &data);
        let movie = read(&bytes).unwrap();
        assert_eq!(times(&movie), [5, 15, 25], "{kind}");
        let expected: Vec<Vec<u8>> = sizes.iter().zip(7u8..).map(|(&n, b)| vec![b; n]).collect();
        assert_eq!(payloads(&bytes, &movie), expected, "{kind}");
    }
    // Sizes that do not add up: the lace is passed over.
    assert!(matches!(read(&build(2, &[2, 1, 2, 3, 4])), Err(MediaError::Malformed { .. })));
    assert!(matches!(read(&build(1, &[2, 200, 200, 3, 4])), Err(MediaError::Malformed { .. })));
    assert!(matches!(read(&build(3, &[2, 0x81, 0x80, 3, 4])), Err(MediaError::Malformed { .. })));
}

#[test]
fn a_block_longer_than_its_cluster_ends_the_cluster() {
    let mut bad = cluster(10, &[&simple(0, false, b"bad")]);
    let at = bad.len() - 3 - 4 - 1;
    bad[at] += 5; // the low byte of the block's size
    let good = cluster(20, &[&simple(0, false, b"good")]);
    let bytes = file(&[&info(1_000_000), &track(&[]), &cluster(0, &[&simple(0, true, b"first")]), &bad, &good]);
    let movie = read(&bytes).unwrap();
    assert_eq!(times(&movie), [0, 20]);
    assert!(movie.warnings[0].contains("longer than its cluster"), "{:?}", movie.warnings);
}

#[test]
fn a_cut_file_gives_its_whole_frames() {
    let blocks = [simple(0, true, &[1; 50]), simple(40, false, &[2; 50]), simple(80, false, &[3; 50])].concat();
    let bytes = file(&[&info(1_000_000), &track(&[]), &cluster(0, &[&blocks])]);
    let movie = read(&bytes[..bytes.len() - 10]).unwrap();
    assert_eq!(times(&movie), [0, 40]);
    assert!(movie.warnings.iter().any(|w| w.contains("the file is cut")), "{:?}", movie.warnings);
}

#[test]
fn stripped_headers_are_put_back() {
    let settings = cat(&[&element(0x4254, &[&[3]]), &element(0x4255, &[b"\x01\x02"])]);
    let encodings = element(0x6d80, &[&element(0x6240, &[&element(0x5034, &[&settings])])]);
    let bytes = file(&[&info(1_000_000), &track(&[&encodings]), &cluster(0, &[&simple(0, true, b"rest")])]);
    let movie = read(&bytes).unwrap();
    assert_eq!(payloads(&bytes, &movie), [b"\x01\x02rest"]);
}

#[test]
fn packed_and_encrypted_tracks_are_unsupported() {
    let with = |encoding: &[u8]| {
        let encodings = element(0x6d80, &[&element(0x6240, &[encoding])]);
        read(&file(&[&info(1_000_000), &track(&[&encodings]), &cluster(0, &[&simple(0, true, b"a")])]))
    };
    let bzlib = with(&element(0x5034, &[&element(0x4254, &[&[1]])])).unwrap_err();
    assert!(matches!(bzlib, MediaError::Unsupported { .. }), "{bzlib}");
    let protected = with(&element(0x5033, &[&[1]])).unwrap_err();
    assert!(protected.to_string().contains("encrypted"), "{protected}");
}

#[test]
fn color_aspect_ratio_and_roll() {
    let color = element(
        0x55b0,
        &[&element(0x55b1, &[&[9]]), &element(0x55b9, &[&[2]]), &element(0x55ba, &[&[16]]), &element(0x55bb, &[&[2]])],
    );
    let shown = cat(&[&element(0x54b0, &[&[2, 128]]), &element(0x54ba, &[&[240]])]);
    let roll = element(0x7670, &[&element(0x7675, &[&(-90f32).to_be_bytes()])]);
    let video = element(0xe0, &[&element(0xb0, &[&[1, 64]]), &element(0xba, &[&[240]]), &color, &shown, &roll]);
    let entry = cat(&[&element(0xd7, &[&[1]]), &element(0x83, &[&[1]]), &element(0x86, &[b"V_AV1"]), &video]);
    let tracks = element(TRACKS, &[&element(0xae, &[&entry])]);
    let movie = read(&file(&[&info(1_000_000), &tracks, &cluster(0, &[&simple(0, true, b"a")])])).unwrap();
    let track = movie.track;
    assert_eq!((track.color.matrix, track.color.full_range), (Some(9), Some(true)));
    assert_eq!((track.color.transfer, track.color.primaries), (Some(16), None));
    assert_eq!((track.sar, track.codec), (Some((2, 1)), Codec::Av1));
    assert_eq!(track.orientation, Orientation { mirrored: false, rotation: 90 });
}

#[test]
fn a_yaw_of_half_a_turn_mirrors() {
    let oriented = |yaw: f32, pitch: f32, roll: f32| {
        let pose = [(0x7673u32, yaw), (0x7674, pitch), (0x7675, roll)].map(|(id, v)| element(id, &[&v.to_be_bytes()]));
        let video = element(
            0xe0,
            &[
                &element(0xb0, &[&[64]]),
                &element(0xba, &[&[48]]),
                &element(0x7670, &[&cat(&[&pose[0], &pose[1], &pose[2]])]),
            ],
        );
        let entry = cat(&[&element(0xd7, &[&[1]]), &element(0x83, &[&[1]]), &element(0x86, &[b"V_AV1"]), &video]);
        let tracks = element(TRACKS, &[&element(0xae, &[&entry])]);
        read(&file(&[&info(1_000_000), &tracks, &cluster(0, &[&simple(0, true, b"a")])])).unwrap()
    };
    assert_eq!(oriented(180.0, 0.0, 0.0).track.orientation, Orientation { mirrored: true, rotation: 0 });
    assert_eq!(oriented(-180.0, 0.0, 90.0).track.orientation, Orientation { mirrored: true, rotation: 270 });
    let tilted = oriented(0.0, 20.0, 0.0);
    assert_eq!((tilted.track.orientation, tilted.warnings.len()), (Orientation::default(), 1));
}

#[test]
fn files_without_tracks_or_frames_are_malformed() {
    let error = |parts: &[&[u8]]| read(&file(parts)).unwrap_err().to_string();
    assert!(error(&[&info(1_000_000)]).contains("no list of tracks"));
    assert!(error(&[&info(1_000_000), &track(&[])]).contains("no frame of the video track"));
    assert!(error(&[&cluster(0, &[&simple(0, true, b"a")])]).contains("before the list of tracks"));
    assert!(read(&head()).unwrap_err().to_string().contains("no segment"));
    let sound = element(TRACKS, &[&element(0xae, &[&element(0x83, &[&[2]])])]);
    assert!(error(&[&sound]).contains("no video track (1 audio, 0 subtitle)"));
}

#[test]
fn limits_hold() {
    let blocks: Vec<u8> = (0..10).flat_map(|i| simple(i, true, &[0; 20])).collect();
    let bytes = file(&[&info(1_000_000), &track(&[]), &cluster(0, &[&blocks])]);
    let limited = |limits: Limits| matches!(read_with(&bytes, &limits), Err(MediaError::Limit { .. }));
    assert!(limited(Limits { samples: 9, ..Limits::default() }));
    assert!(!limited(Limits { samples: 10, ..Limits::default() }));
    assert!(limited(Limits { sample_bytes: 19, ..Limits::default() }));
    assert!(limited(Limits { header_bytes: 30, ..Limits::default() }));
}
