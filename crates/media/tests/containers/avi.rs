//! AVI.

use crate::bytes::{cat, chunk, keyframes, read, read_with, times, words_le};
use zoetrope_media::container::byte_source::ByteSource;
use zoetrope_media::container::track::Codec;
use zoetrope_media::{Limits, MediaError};

fn header(code: &[u8; 4], rate: (u32, u32), extra: &[u8]) -> Vec<u8> {
    let avih = chunk(b"avih", &[&words_le(&[40_000, 0, 0, 0, 0, 0, 2, 0, 128, 96, 0, 0, 0, 0])]);
    let sound = chunk(b"LIST", &[b"strl", &chunk(b"strh", &[b"auds", &[0; 44]])]);
    let strh = chunk(b"strh", &[b"vids", code, &[0; 12], &words_le(&[rate.1, rate.0, 0, 0, 0, 0, 0, 0, 0])]);
    let strf = chunk(b"strf", &[&words_le(&[40, 128, 96, 0x0018_0001]), code, &[0; 20], b"cfg"]);
    let video = chunk(b"LIST", &[b"strl", &strh, &strf, extra]);
    chunk(b"LIST", &[b"hdrl", &avih, &sound, &video])
}

fn riff(parts: &[&[u8]]) -> Vec<u8> {
    chunk(b"RIFF", &[b"AVI ", &cat(parts)])
}

/// A `movi` list: frames of stream 1 with a sound chunk between them.
fn movi() -> Vec<u8> {
    let parts = [
        chunk(b"01dc", &[b"one"]),
        chunk(b"00wb", &[&[1; 9]]),
        chunk(b"01dc", &[]),
        chunk(b"01dc", &[b"three"]),
        chunk(b"01dc", &[b"four"]),
    ];
    chunk(b"LIST", &[b"movi", &parts.concat()])
}

/// `idx1` for the frames of `movi`, with offsets that count from `base`.
fn idx1(base: u32) -> Vec<u8> {
    let entry = |code: &[u8; 4], flags: u32, at: u32, size: u32| cat(&[code, &words_le(&[flags, base + at, size])]);
    let entries = [
        entry(b"01dc", 0x10, 4, 3),
        entry(b"00wb", 0x10, 16, 9),
        entry(b"01dc", 0, 34, 0),
        entry(b"01dc", 0, 42, 5),
        entry(b"01dc", 0x10, 56, 4),
    ];
    chunk(b"idx1", &[&entries.concat()])
}

fn payloads(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (source, movie) = (ByteSource::from_bytes(bytes), read(bytes).unwrap());
    (0..movie.track.samples.len()).map(|i| movie.read_sample(&source, i).unwrap()).collect()
}

#[test]
fn both_kinds_of_idx1_offsets() {
    let head = header(b"WXYZ", (30_000, 1001), &[]);
    let from_file = (12 + head.len() + 8) as u32;
    for base in [0, from_file] {
        let bytes = riff(&[&head, &movi(), &idx1(base)]);
        let movie = read(&bytes).unwrap();
        // An empty chunk repeats the frame before: it takes its time and gives no sample.
        assert_eq!(times(&movie), [0, 2002, 3003]);
        assert_eq!((movie.track.timescale, movie.track.duration), (30_000, Some(4004)));
        assert_eq!(keyframes(&movie), [0, 2]);
        assert_eq!(payloads(&bytes), [&b"one"[..], b"three", b"four"]);
        assert_eq!((movie.track.codec, movie.track.extradata), (Codec::Other("WXYZ".into()), b"cfg".to_vec()));
        assert_eq!((movie.audio_tracks, movie.warnings), (1, vec![]));
    }
}

#[test]
fn without_an_index_the_chunks_are_scanned() {
    for index in [vec![], idx1(77)] {
        let bytes = riff(&[&header(b"MJPG", (25, 1), &[]), &movi(), &index]);
        let movie = read(&bytes).unwrap();
        assert_eq!((times(&movie), keyframes(&movie)), (vec![0, 2, 3], vec![0, 1, 2]));
        assert!(movie.warnings[0].contains("scanned"), "{:?}", movie.warnings);
        assert_eq!(payloads(&bytes), [&b"one"[..], b"three", b"four"]);
    }
}

#[test]
fn an_index_is_used_where_damage_hit_a_few_chunks() {
    let frames: Vec<Vec<u8>> = (0..17u8).map(|n| chunk(b"01dc", &[&[n; 4]])).collect();
    let movi = chunk(b"LIST", &[b"movi", &frames.concat()]);
    let entries: Vec<u8> = (0..17).flat_map(|n| cat(&[b"01dc", &words_le(&[0x10, 4 + 12 * n, 4])])).collect();
    let bytes = riff(&[&header(b"MJPG", (25, 1), &[]), &movi, &chunk(b"idx1", &[&entries])]);
    let first = bytes.windows(4).position(|w| w == b"01dc").unwrap();
    // The headers of chunks 4 and 6 are compared; their contents are still where the index says.
    let damaged = |chunks: &[usize]| {
        let mut bytes = bytes.clone();
        chunks.iter().for_each(|n| bytes[first + 12 * n..first + 12 * n + 8].fill(0xff));
        read(&bytes).unwrap()
    };
    assert_eq!((damaged(&[]).track.samples.len(), damaged(&[]).warnings.len()), (17, 0));
    let movie = damaged(&[4, 6]);
    assert_eq!(movie.track.samples.len(), 17);
    assert!(movie.warnings[0].starts_with("2 of 9 compared chunks are not"), "{:?}", movie.warnings);
    assert!(damaged(&[4, 6, 8]).warnings[0].contains("scanned"));
}

#[test]
fn scanned_keyframes_are_read_from_the_frames() {
    let frames = [chunk(b"01dc", &[&[0, 0, 1, 0xb6, 0x10]]), chunk(b"01dc", &[&[0, 0, 1, 0xb6, 0x50]])];
    let movi = chunk(b"LIST", &[b"movi", &frames[0], &frames[1], &frames[0], &frames[1]]);
    let movie = read(&riff(&[&header(b"XVID", (25, 1), &[]), &movi])).unwrap();
    assert_eq!((keyframes(&movie), movie.track.codec), (vec![0, 2], Codec::Mpeg4));
}

#[test]
fn frames_in_record_lists_are_found() {
    let list = chunk(b"LIST", &[b"rec ", &chunk(b"01dc", &[b"in"]), &chunk(b"00wb", &[b"x"])]);
    let movi = chunk(b"LIST", &[b"movi", &list, &list]);
    let bytes = riff(&[&header(b"MJPG", (25, 1), &[]), &movi]);
    assert_eq!(payloads(&bytes), [b"in", b"in"]);
}

#[test]
fn open_dml_indexes_across_riff_chunks() {
    let frame = |data: &[u8]| chunk(b"01dc", &[data]);
    let build = |offsets: [u64; 2], bases: [u64; 2]| {
        let sup = |at: u64, size: u32| cat(&[&at.to_le_bytes(), &words_le(&[size, 2])]);
        let indx = chunk(
            b"indx",
            &[&[4, 0, 0, 0], &words_le(&[2]), b"01dc", &[0; 12], &sup(offsets[0], 48), &sup(offsets[1], 40)],
        );
        let ix = |base: u64, entries: &[u32]| {
            let count = entries.len() as u32 / 2;
            let head = cat(&[&[2, 0, 0, 1], &words_le(&[count]), b"01dc", &base.to_le_bytes(), &[0; 4]]);
            chunk(b"ix01", &[&head, &words_le(entries)])
        };
        let head = header(b"WXYZ", (25, 1), &indx);
        let one = chunk(b"LIST", &[b"movi", &frame(b"abcd"), &frame(b"ef"), &ix(bases[0], &[8, 4, 20, 2 | 1 << 31])]);
        let two = chunk(b"LIST", &[b"movi", &frame(b"ghij"), &ix(bases[1], &[8, 4])]);
        let first = riff(&[&head, &one]);
        let at_one = (12 + head.len() + 12) as u64;
        let at_two = (first.len() + 12 + 12) as u64;
        let second = chunk(b"RIFF", &[b"AVIX", &two]);
        (cat(&[&first, &second]), [at_one + 22, at_two + 12], [at_one, at_two])
    };
    let (_, offsets, bases) = build([0; 2], [0; 2]);
    let (bytes, ..) = build(offsets, bases);
    let movie = read(&bytes).unwrap();
    assert_eq!((times(&movie), keyframes(&movie), &movie.warnings), (vec![0, 1, 2], vec![0, 2], &vec![]));
    assert_eq!(payloads(&bytes), [&b"abcd"[..], b"ef", b"ghij"]);
    // A super index that points nowhere: scanned, both lists.
    let (bytes, ..) = build([5, 1 << 50], bases);
    assert_eq!(payloads(&bytes), [&b"abcd"[..], b"ef", b"ghij"]);
}

#[test]
fn odd_rates_fall_back() {
    let with = |rate| read(&riff(&[&header(b"MJPG", rate, &[]), &movi()])).unwrap().track;
    assert_eq!(with((0, 0)).timescale, 25); // 40,000 us a frame
    assert_eq!(with((50, 2)).timescale, 25);
    assert_eq!(with((30_000, 1001)).samples[1].pts, 2002);
}

#[test]
fn a_stopped_recording_is_read_to_the_end() {
    // Sizes of the outer chunk and of the list were never written.
    let mut bytes = riff(&[&header(b"MJPG", (25, 1), &[]), &movi()]);
    bytes[4..8].fill(0);
    let at = bytes.windows(4).position(|w| w == b"movi").unwrap();
    bytes[at - 4..at].fill(0);
    assert_eq!(payloads(&bytes), [&b"one"[..], b"three", b"four"]);
    // And cut inside the last frame.
    assert_eq!(payloads(&bytes[..bytes.len() - 2]), [&b"one"[..], b"three"]);
}

#[test]
fn missing_parts_are_named() {
    let error = |bytes: Vec<u8>| read(&bytes).unwrap_err().to_string();
    assert!(error(riff(&[&movi()])).contains("no header list"));
    assert!(error(riff(&[&header(b"MJPG", (25, 1), &[])])).contains("no frames"));
    let sound = chunk(b"LIST", &[b"hdrl", &chunk(b"LIST", &[b"strl", &chunk(b"strh", &[b"auds", &[0; 44]])])]);
    assert!(error(riff(&[&sound, &movi()])).contains("no video stream (1 audio)"));
    let limits = Limits { samples: 2, ..Limits::default() };
    let bytes = riff(&[&header(b"MJPG", (25, 1), &[]), &movi(), &idx1(0)]);
    assert!(matches!(read_with(&bytes, &limits), Err(MediaError::Limit { .. })));
}

#[test]
fn a_header_list_shorter_than_its_own_kind_is_malformed() {
    // Found by fuzzing: the kind is read past the end of the list.
    let list = cat(&[b"LIST", &words_le(&[2]), b"hdrl", &[0; 20]]);
    assert!(matches!(read(&riff(&[&list, &movi()])), Err(MediaError::Malformed { .. })));
}
