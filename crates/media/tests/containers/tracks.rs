//! The choice among several video tracks.

use crate::bytes::{atom, cat, chunk, element, read, words_le};
use crate::mkv::{self, TRACKS, cluster, info, simple};
use crate::mp4::{File, entry};
use zoetrope_media::container;
use zoetrope_media::container::byte_source::ByteSource;
use zoetrope_media::container::choice::TrackChoice;
use zoetrope_media::container::movie::Movie;
use zoetrope_media::container::track::{Codec, Container};
use zoetrope_media::{Limits, MediaError};

/// `first`'s track put before the track of a plain file of 6 frames.
fn with_first(first: &File, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let moov = first.moov(0);
    let mut trak = moov[moov.windows(4).position(|w| w == b"trak").unwrap() - 4..].to_vec();
    change(&mut trak);
    let bytes = File::default().build(false);
    let split = bytes.windows(4).position(|w| w == b"trak").unwrap() - 4;
    let mut bytes = cat(&[&bytes[..split], &trak, &bytes[split..]]);
    let moov = bytes.windows(4).position(|w| w == b"moov").unwrap() - 4;
    let size = (bytes.len() - moov) as u32;
    bytes[moov..moov + 4].copy_from_slice(&size.to_be_bytes());
    bytes
}

fn forced(bytes: &[u8], kind: Container, track: usize) -> Result<Movie, MediaError> {
    let choice = TrackChoice { forced: Some(track), ..TrackChoice::default() };
    container::read_track(&ByteSource::from_bytes(bytes), kind, &Limits::default(), &choice)
}

#[test]
fn a_disabled_track_is_not_chosen() {
    let other = File { sizes: vec![9; 20], stts: vec![(20, 1)], stss: None, ..File::default() };
    let bytes = with_first(&other, |trak| {
        let at = trak.windows(4).position(|w| w == b"tkhd").unwrap();
        trak[at + 4..at + 8].fill(0);
    });
    let movie = read(&bytes).unwrap();
    assert_eq!((movie.track.samples.len(), movie.chosen), (6, 1));
    assert!(!movie.tracks[0].default && movie.tracks[1].default);
}

#[test]
fn a_poster_before_the_video_is_passed_over() {
    let poster = File { sizes: vec![9], stts: vec![(1, 1)], stss: None, entry: entry(b"jpeg", &[]), ..File::default() };
    let bytes = with_first(&poster, |_| {});
    let movie = read(&bytes).unwrap();
    assert_eq!((movie.track.codec.clone(), movie.track.samples.len(), movie.chosen), (Codec::H264, 6, 1));
    assert_eq!((movie.tracks[0].codec.clone(), movie.tracks[0].frames), (Codec::Mjpeg, Some(1)));
    assert_eq!(movie.warnings, Vec::<String>::new(), "a poster is no other choice");
    let movie = forced(&bytes, Container::Mp4, 0).unwrap();
    assert_eq!((movie.track.codec.clone(), movie.track.samples.len()), (Codec::Mjpeg, 1));
    let error = forced(&bytes, Container::Mp4, 2).unwrap_err();
    assert_eq!(error.to_string(), "video track 2 wanted, 2 are there");
}

#[test]
fn an_encrypted_track_is_passed_over() {
    let sinf = atom(b"sinf", &[&atom(b"frma", &[b"avc1"])]);
    let entry = entry(b"encv", &[&sinf]);
    let protected = File { sizes: vec![9; 20], stts: vec![(20, 1)], stss: None, entry, ..File::default() };
    let bytes = with_first(&protected, |_| {});
    assert_eq!(read(&bytes).unwrap().chosen, 1);
    assert!(matches!(forced(&bytes, Container::Mp4, 0), Err(MediaError::Unsupported { .. })));
}

#[test]
fn a_codec_with_a_decoder_comes_first() {
    let foreign =
        File { sizes: vec![9; 20], stts: vec![(20, 1)], stss: None, entry: entry(b"apcn", &[]), ..File::default() };
    let bytes = with_first(&foreign, |_| {});
    let decodable = |codec: &Codec| *codec == Codec::H264;
    let choice = TrackChoice { forced: None, decodable: &decodable };
    let movie = container::read_track(&ByteSource::from_bytes(bytes), Container::Mp4, &Limits::default(), &choice);
    let movie = movie.unwrap();
    assert_eq!(movie.chosen, 1);
    let told = "video track 1 (H.264, 128x96, 6 frames) is read, not 0 (apcn, 128x96, 20 frames)";
    assert_eq!(movie.warnings, [told]);
}

/// A Matroska track of this number, with `FlagDefault`.
fn entry_of(number: u8, default: u8, width: u8) -> Vec<u8> {
    let video = element(0xe0, &[&element(0xb0, &[&[width]]), &element(0xba, &[&[48]])]);
    let parts =
        [element(0xd7, &[&[number]]), element(0x83, &[&[1]]), element(0x86, &[b"V_VP9"]), element(0x88, &[&[default]])];
    element(0xae, &[&parts.concat(), &video])
}

fn of_track(number: u8, time: i16, data: &[u8]) -> Vec<u8> {
    element(0xa3, &[&[0x80 | number], &time.to_be_bytes(), &[0x80], data])
}

#[test]
fn matroska_follows_the_default_flag_then_the_number_of_frames() {
    let build = |flags: [u8; 2]| {
        let tracks = element(TRACKS, &[&entry_of(1, flags[0], 200), &entry_of(2, flags[1], 64)]);
        let blocks = cat(&[&of_track(1, 0, b"small"), &of_track(2, 0, b"one"), &of_track(2, 40, b"two")]);
        let more = of_track(1, 40, b"s");
        mkv::file(&[&info(1_000_000), &tracks, &cluster(0, &[&blocks, &more, &of_track(2, 80, b"three")])])
    };
    for (flags, chosen) in [([0, 1], 1), ([1, 0], 0), ([1, 1], 1), ([0, 0], 1)] {
        let bytes = build(flags);
        let movie = read(&bytes).unwrap();
        assert_eq!(movie.chosen, chosen, "{flags:?}");
        assert_eq!(movie.warnings.len(), 1, "{:?}", movie.warnings);
        let expected: &[&[u8]] = if chosen == 1 { &[b"one", b"two", b"three"] } else { &[b"small", b"s"] };
        assert_eq!(mkv::payloads(&bytes, &movie), expected);
    }
    let movie = forced(&build([0, 1]), Container::Matroska, 0).unwrap();
    assert_eq!((movie.track.width, movie.track.samples.len()), (200, 2));
}

#[test]
fn one_track_gives_no_warning() {
    let bytes = mkv::file(&[&info(1_000_000), &mkv::track(&[]), &cluster(0, &[&simple(0, true, b"a")])]);
    let movie = read(&bytes).unwrap();
    assert_eq!((movie.tracks.len(), movie.warnings.len()), (1, 0));
    assert_eq!(movie.tracks[0].frames, Some(1));
}

#[test]
fn avi_streams_are_chosen_by_their_codec_and_length() {
    let stream = |code: &[u8; 4], frames: u32, flags: u32| {
        let numbers = words_le(&[flags, 0, 0, 1, 25, 0, frames, 0, 0, 0]);
        let strh = chunk(b"strh", &[b"vids", code, &numbers]);
        let strf = chunk(b"strf", &[&words_le(&[40, 128, 96, 0x0018_0001]), code, &[0; 20]]);
        chunk(b"LIST", &[b"strl", &strh, &strf])
    };
    let build = |first: &[u8], second: &[u8]| {
        let avih = chunk(b"avih", &[&words_le(&[40_000, 0, 0, 0, 0, 0, 2, 0, 128, 96, 0, 0, 0, 0])]);
        let header = chunk(b"LIST", &[b"hdrl", &avih, first, second]);
        let frames = cat(&[&chunk(b"00dc", &[b"one"]), &chunk(b"01dc", &[b"other"]), &chunk(b"01dc", &[b"more"])]);
        chunk(b"RIFF", &[b"AVI ", &header, &chunk(b"LIST", &[b"movi", &frames])])
    };
    for (first, second, chosen) in [
        (stream(b"MJPG", 1, 0), stream(b"WXYZ", 2, 0), 1),
        (stream(b"WXYZ", 2, 0), stream(b"WXYZ", 2, 0), 0),
        (stream(b"WXYZ", 9, 1), stream(b"WXYZ", 2, 0), 1),
    ] {
        let movie = read(&build(&first, &second)).unwrap();
        assert_eq!((movie.chosen, movie.track.samples.len()), (chosen, chosen + 1));
    }
}
