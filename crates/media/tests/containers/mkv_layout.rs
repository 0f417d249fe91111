//! Matroska files laid out in unusual ways.

use crate::bytes::{cat, element, open_element, read, read_with, times};
use crate::mkv::{self, CLUSTER, SEGMENT, TRACKS, cluster, head, info, payloads, simple, track};
use zoetrope_media::{Limits, MediaError};

/// A seek head with one entry.
fn seek_head(id: u32, position: u32) -> Vec<u8> {
    let entry = cat(&[&element(0x53ab, &[&id.to_be_bytes()]), &element(0x53ac, &[&position.to_be_bytes()])]);
    element(0x114d_9b74, &[&element(0x4dbb, &[&entry])])
}

#[test]
fn tracks_after_the_frames_are_found() {
    let frames = cluster(7, &[&simple(0, true, b"a"), &simple(40, false, b"b")]);
    let at = (seek_head(TRACKS, 0).len() + frames.len()) as u32;
    for (seeks, told) in [(seek_head(TRACKS, at), "by the seek head"), (vec![], "by the walk")] {
        let bytes = mkv::file(&[&seeks, &frames, &track(&[]), &info(1_000_000)]);
        let movie = read(&bytes).unwrap();
        assert_eq!((times(&movie), payloads(&bytes, &movie).len()), (vec![7, 47], 2), "{told}");
    }
    // A seek head that lies does no harm.
    let bytes = mkv::file(&[&seek_head(TRACKS, 3), &frames, &track(&[])]);
    assert_eq!(read(&bytes).unwrap().track.samples.len(), 2);
}

#[test]
fn a_segment_size_that_cannot_be_is_unknown() {
    let parts =
        [info(1_000_000), track(&[]), cluster(0, &[&simple(0, true, b"a")]), cluster(9, &[&simple(0, false, b"b")])];
    let bytes = mkv::file(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let size_at = head().len() + 4;
    let inside = (parts[0].len() + parts[1].len() + parts[2].len()) as u64;
    for size in [0, inside, inside + 6, inside - 6] {
        let mut bytes = bytes.clone();
        bytes[size_at..size_at + 8].copy_from_slice(&(size | 1 << 56).to_be_bytes());
        let movie = read(&bytes).unwrap();
        assert_eq!((times(&movie), movie.warnings.len()), (vec![0, 9], 0), "{size}: {:?}", movie.warnings);
    }
    assert!(u32::from_be_bytes(bytes[size_at - 4..size_at].try_into().unwrap()) == SEGMENT);
}

#[test]
fn clusters_are_found_again_after_damage_between_them() {
    let cluster = |time: u8| cluster(time, &[&simple(0, true, b"a"), &simple(1, false, b"b")]);
    // Bytes that are no element, and an element whose size was overwritten.
    let longer_than_the_file = [0xec, 0x01, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0, 0];
    for (damage, words) in [(&[0; 40][..], "no element at byte"), (&longer_than_the_file, "longer than the file")] {
        let parts = [head(), open_element(SEGMENT, &[&info(1_000_000), &track(&[]), &cluster(0), damage, &cluster(9)])];
        let movie = read(&parts.concat()).unwrap();
        assert_eq!(times(&movie), [0, 1, 9, 10]);
        assert!(movie.warnings.iter().any(|text| text.contains(words)), "{:?}", movie.warnings);
    }
}

#[test]
fn the_last_frame_lasts_as_long_as_the_file_says() {
    let group = |time: i16, duration: u8| {
        let block = element(0xa1, &[&[0x81], &time.to_be_bytes(), &[0], b"x"]);
        element(0xa0, &[&block, &element(0x9b, &[&[duration]])])
    };
    let first = simple(0, true, b"a");
    let of = |parts: &[&[u8]]| read(&mkv::file(parts)).unwrap().track.duration;
    // In its block: 40 + 200 ms.
    assert_eq!(of(&[&info(1_000_000), &track(&[]), &cluster(0, &[&first, &group(40, 200)])]), Some(240));
    // By the length of the segment (100 ms), counted from 0 or, where that cannot be, from the first frame.
    assert_eq!(of(&[&info(1_000_000), &track(&[]), &cluster(0, &[&first, &simple(40, false, b"b")])]), Some(100));
    assert_eq!(of(&[&info(1_000_000), &track(&[]), &cluster(90, &[&first, &simple(40, false, b"b")])]), Some(100));
    // With sound in the file that length says nothing about the picture.
    let video = track(&[]);
    let sound = element(0xae, &[&element(0xd7, &[&[2]]), &element(0x83, &[&[2]])]);
    let both = element(TRACKS, &[&video[12..], &sound]);
    assert_eq!(of(&[&info(1_000_000), &both, &cluster(0, &[&first, &simple(40, false, b"b")])]), None);
    assert_eq!(CLUSTER, 0x1f43_b675);
}

/// `data` as a zlib stream of one stored block (RFC 1950, 1951).
fn zlib(data: &[u8]) -> Vec<u8> {
    let (a, b) =
        data.iter().fold((1u32, 0u32), |(a, b), &d| ((a + u32::from(d)) % 65521, (a + u32::from(d) + b) % 65521));
    let length = data.len() as u16;
    cat(&[&[0x78, 1, 1], &length.to_le_bytes(), &(!length).to_le_bytes(), data, &(b << 16 | a).to_be_bytes()])
}

#[test]
fn zlib_tracks_are_inflated_within_the_limit() {
    // Scope 3: frames and the codec's configuration.
    let encoding = cat(&[&element(0x5032, &[&[3]]), &element(0x5034, &[&element(0x4254, &[&[0]])])]);
    let packed = element(0x6d80, &[&element(0x6240, &[&encoding])]);
    let private = element(0x63a2, &[&zlib(b"config")]);
    let blocks = cat(&[&simple(0, true, &zlib(b"frame one")), &simple(40, false, b"no zlib")]);
    let bytes = mkv::file(&[&info(1_000_000), &track(&[&packed, &private]), &cluster(0, &[&blocks])]);
    let source = zoetrope_media::container::byte_source::ByteSource::from_bytes(bytes.clone());
    let movie = read(&bytes).unwrap();
    assert_eq!(
        (movie.read_sample(&source, 0).unwrap(), movie.track.extradata.clone()),
        (b"frame one".to_vec(), b"config".to_vec())
    );
    assert!(matches!(movie.read_sample(&source, 1), Err(MediaError::Malformed { .. })));
    // A bomb: 60,000 bytes of a limit of 59,999.
    let bytes = mkv::file(&[
        &info(1_000_000),
        &track(&[&packed, &private]),
        &cluster(0, &[&simple(0, true, &zlib(&[7; 60_000]))]),
    ]);
    let source = zoetrope_media::container::byte_source::ByteSource::from_bytes(bytes.clone());
    let limits = Limits { sample_bytes: 60_011, ..Limits::default() };
    assert_eq!(read_with(&bytes, &limits).unwrap().read_sample(&source, 0).unwrap().len(), 60_000);
}
