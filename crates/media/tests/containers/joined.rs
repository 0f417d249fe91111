//! Recordings that follow one another in one file.

use crate::bytes::{atom, cat, element, keyframes, open_element, read, times, words};
use crate::mkv::{self, CLUSTER, SEGMENT, TRACKS, cluster, head, info, payloads, simple, track};
use crate::mp4::{File, entry, moof};
use zoetrope_media::container::byte_source::ByteSource;

/// A recording of a browser: unknown sizes, a clock that starts at 0.
fn recording(tracks: &[u8], frames: &[&[u8]]) -> Vec<u8> {
    let blocks: Vec<u8> = (0..).zip(frames).flat_map(|(i, data)| simple(40 * i, i == 0, data)).collect();
    let cluster = open_element(CLUSTER, &[&element(0xe7, &[&[0]]), &blocks]);
    cat(&[&head(), &open_element(SEGMENT, &[&info(1_000_000), tracks, &cluster])])
}

#[test]
fn joined_matroska_is_one_track_with_a_rising_clock() {
    let bytes = cat(&[&recording(&track(&[]), &[b"a", b"b", b"c"]), &recording(&track(&[]), &[b"d", b"e"])]);
    let movie = read(&bytes).unwrap();
    assert_eq!(payloads(&bytes, &movie), [b"a", b"b", b"c", b"d", b"e"]);
    assert_eq!(times(&movie), [0, 40, 80, 120, 160]);
    assert_eq!(keyframes(&movie), [0, 3]);
    assert_eq!(movie.warnings, Vec::<String>::new());
    // Segments of known size are joined as well, and what is no segment behind them is left alone.
    let whole = |data: &[u8]| mkv::file(&[&info(1_000_000), &track(&[]), &cluster(0, &[&simple(0, true, data)])]);
    let bytes = cat(&[&whole(b"one"), &whole(b"two"), b"rubbish"]);
    let movie = read(&bytes).unwrap();
    assert_eq!((payloads(&bytes, &movie), movie.warnings.len()), (vec![b"one".to_vec(), b"two".to_vec()], 0));
}

#[test]
fn a_part_of_another_codec_is_left_out_with_its_size() {
    let other = element(
        TRACKS,
        &[&element(0xae, &[&element(0xd7, &[&[1]]), &element(0x83, &[&[1]]), &element(0x86, &[b"V_AV1"])])],
    );
    let second = recording(&other, &[b"x"]);
    let bytes = cat(&[&recording(&track(&[]), &[b"a", b"b"]), &second]);
    let movie = read(&bytes).unwrap();
    assert_eq!(payloads(&bytes, &movie), [b"a", b"b"]);
    let text =
        format!("another recording of {} bytes follows and is not read: its codec is AV1 instead of VP9", second.len());
    assert_eq!(movie.warnings, [text]);
}

/// `avcC` with one SPS and one PPS.
fn avcc(sps: &[u8], pps: &[u8]) -> Vec<u8> {
    let set = |set: &[u8]| cat(&[&(set.len() as u16).to_be_bytes(), set]);
    atom(b"avcC", &[&[1, 100, 0, 30, 0xff, 0xe1], &set(sps), &[1], &set(pps)])
}

/// A fragmented file with two frames of one byte each.
fn fragmented(config: &[u8], data: &[u8; 2]) -> Vec<u8> {
    let entry = entry(b"avc1", &[config]);
    let mut moov = File { sizes: vec![], stts: vec![], stss: None, entry, ..File::default() }.moov(0);
    moov.extend(atom(b"mvex", &[&atom(b"trex", &[&words(&[0, 1, 1, 512, 1, 0])])]));
    let size = moov.len() as u32;
    moov[..4].copy_from_slice(&size.to_be_bytes());
    let run = [(512, 1, 0x0200_0000, 0), (512, 1, 0x0101_0000, 0)];
    let size = moof(0x2_0000, &[], Some(0), &run, 0).len() as u32;
    let fragment = moof(0x2_0000, &[], Some(0), &run, size + 8);
    cat(&[&atom(b"ftyp", &[b"isom\0\0\0\0"]), &moov, &fragment, &atom(b"mdat", &[data])])
}

#[test]
fn joined_fragments_bring_their_own_parameter_sets() {
    let (first, second) = (avcc(b"gA", b"hA"), avcc(b"gBB", b"hB"));
    let bytes = cat(&[&fragmented(&first, b"ab"), &fragmented(&second, b"cd"), &fragmented(&first, b"ef")]);
    let movie = read(&bytes).unwrap();
    assert_eq!(times(&movie), [0, 512, 1024, 1536, 2048, 2560]);
    let source = ByteSource::from_bytes(bytes);
    let sample = |i| movie.read_sample(&source, i).unwrap();
    assert_eq!([sample(0), sample(1), sample(3)], [b"a", b"b", b"d"]);
    assert_eq!(sample(2), b"\0\0\0\x03gBB\0\0\0\x02hBc");
    assert_eq!(sample(4), b"e", "decoding starts with the first sets again");
}

#[test]
fn joined_plain_files_count_offsets_from_their_own_start() {
    let one = File::default().build(true);
    let bytes = cat(&[&one, &one]);
    let movie = read(&bytes).unwrap();
    assert_eq!((movie.track.samples.len(), times(&movie)[6]), (12, 3072));
    let source = ByteSource::from_bytes(bytes);
    for i in 0..12 {
        assert_eq!(movie.read_sample(&source, i).unwrap(), vec![i as u8 % 6; 10 + i % 6]);
    }
    // A second index of the same recording is no second part.
    let moov = &one[one.windows(4).position(|w| w == b"moov").unwrap() - 4..];
    let size = u32::from_be_bytes([moov[0], moov[1], moov[2], moov[3]]) as usize;
    let movie = read(&cat(&[&one, &moov[..size]])).unwrap();
    assert_eq!(movie.track.samples.len(), 6);
}

/// HEVC parameter sets are carried over as well; where the two frame their units differently, the second part is left
/// out and its size is told.
#[test]
fn joined_hevc_and_parts_that_are_framed_differently() {
    let hvcc = |length_bytes: u8, sets: &[u8]| {
        let array = cat(&[&[0x20, 0, 1], &(sets.len() as u16).to_be_bytes(), sets]);
        atom(b"hvcC", &[&[1; 21], &[length_bytes - 1], &[1], &array])
    };
    let file = |config: Vec<u8>| {
        File { entry: entry(b"hvc1", &[&config]), sizes: vec![5], stts: vec![(1, 512)], stss: None, ..File::default() }
            .build(true)
    };
    let bytes = cat(&[&file(hvcc(4, b"one")), &file(hvcc(4, b"other"))]);
    let movie = read(&bytes).unwrap();
    let source = ByteSource::from_bytes(bytes);
    assert_eq!(movie.read_sample(&source, 1).unwrap(), b"\0\0\0\x05other\0\0\0\0\0");
    let second = file(hvcc(2, b"other"));
    let movie = read(&cat(&[&file(hvcc(4, b"one")), &second])).unwrap();
    let text = format!("another recording of {} bytes follows and is not read: its units are framed in", second.len());
    assert_eq!((movie.track.samples.len(), movie.warnings[0].starts_with(&text)), (1, true), "{:?}", movie.warnings);
}
