//! Transport streams.

use crate::bytes::{cat, keyframes, read, read_with, times};
use zoetrope_media::container::byte_source::ByteSource;
use zoetrope_media::container::track::Codec;
use zoetrope_media::{Limits, MediaError};

/// Writes packets, counting each PID's continuity.
#[derive(Default)]
struct Mux {
    out: Vec<u8>,
    counters: std::collections::BTreeMap<u16, u8>,
    lead: usize,
}

impl Mux {
    /// Payload of any length over as many packets as it takes, the last one stuffed.
    fn payload(&mut self, pid: u16, data: &[u8], random_access: bool) {
        let mut left = data;
        let mut first = true;
        while !left.is_empty() {
            let flags = first && random_access;
            let room = if flags { 182 } else { 184 };
            let take = left.len().min(room);
            let counter = self.counters.entry(pid).or_default();
            let [hi, lo] = (pid | if first { 0x4000 } else { 0 }).to_be_bytes();
            let stuffing = room - take + if flags { 2 } else { 0 };
            let field: Vec<u8> = match stuffing {
                0 => vec![],
                1 => vec![0],
                n => cat(&[&[n as u8 - 1, if flags { 0x40 } else { 0 }], &vec![0xff; n - 2]]),
            };
            let control = if field.is_empty() { 0x10 } else { 0x30 } | *counter;
            *counter = (*counter + 1) % 16;
            self.out.extend(vec![0; self.lead]);
            self.out.extend(cat(&[&[0x47, hi, lo, control], &field, &left[..take]]));
            left = &left[take..];
            first = false;
        }
    }

    fn tables(&mut self, kind: u8, descriptors: &[u8]) {
        self.payload(0, &cat(&[&[0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xe1, 0], &[0; 4]]), false);
        let length = descriptors.len() as u8;
        let streams = cat(&[&[0x0f, 0xe0, 0x51, 0xf0, 0], &[kind, 0xe0, 0x50, 0xf0, length], descriptors]);
        let head = [0, 2, 0xb0, 13 + streams.len() as u8, 0, 1, 0xc1, 0, 0, 0xe0, 0x50, 0xf0, 0];
        self.payload(0x100, &cat(&[&head, &streams, &[0; 4]]), false);
    }

    fn pes(&mut self, stamps: Option<(u64, u64)>, data: &[u8], random_access: bool) {
        let stamp = |mark: u8, t: u64| {
            let low = |shift: u32| (t >> shift & 0x7f) as u8;
            [
                (mark << 4) | ((t >> 30 & 7) as u8 * 2) | 1,
                (t >> 22) as u8,
                low(15) << 1 | 1,
                (t >> 7) as u8,
                low(0) << 1 | 1,
            ]
        };
        let header = match stamps {
            None => vec![0x80, 0, 0],
            Some((pts, dts)) => cat(&[&[0x80, 0xc0, 10], &stamp(3, pts), &stamp(1, dts)]),
        };
        self.payload(0x50, &cat(&[&[0, 0, 1, 0xe0, 0, 0], &header, data]), random_access);
    }
}

/// An access unit: delimiter and one slice (5 = IDR).
fn unit(kind: u8, fill: u8, size: usize) -> Vec<u8> {
    cat(&[&[0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, kind | 0x60], &vec![fill; size]])
}

fn payloads(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (source, movie) = (ByteSource::from_bytes(bytes), read(bytes).unwrap());
    (0..movie.track.samples.len()).map(|i| movie.read_sample(&source, i).unwrap()).collect()
}

#[test]
fn frames_are_gathered_from_packets() {
    let units = [unit(5, 0xaa, 1000), unit(1, 0xbb, 50), unit(1, 0xcc, 171)];
    for lead in [0, 4] {
        let mut mux = Mux { lead, ..Mux::default() };
        mux.tables(0x1b, &[]);
        mux.pes(Some((9000, 3000)), &units[0], false);
        mux.payload(0x51, &[0; 300], false);
        mux.pes(Some((15_000, 6000)), &units[1], false);
        mux.pes(Some((12_000, 9000)), &units[2], false);
        let movie = read(&mux.out).unwrap();
        assert_eq!(times(&movie), [9000, 15_000, 12_000]);
        assert_eq!(movie.track.samples.iter().map(|s| s.dts).collect::<Vec<_>>(), [3000, 6000, 9000]);
        assert_eq!((keyframes(&movie), movie.track.timescale, movie.start), (vec![0], 90_000, 9000));
        assert_eq!((movie.track.codec, movie.audio_tracks), (Codec::H264, 1));
        assert_eq!(movie.warnings, Vec::<String>::new());
        assert_eq!(payloads(&mux.out), units);
    }
}

#[test]
fn the_clock_runs_over_its_end() {
    let end = 1u64 << 33;
    let build = |first: u64| {
        let mut mux = Mux::default();
        mux.tables(0x24, &[]);
        let slice = |kind: u8| cat(&[&[0, 0, 0, 1, kind << 1, 1], &[0xaa; 30]]);
        for (i, kind) in [(0, 19), (1, 1), (2, 1)] {
            let time = (first + i * 3600) % end;
            mux.pes(Some((time, time)), &slice(kind), false);
        }
        times(&read(&mux.out).unwrap())
    };
    assert_eq!(build(100), [100, 3700, 7300]);
    // Within a minute of the end: below zero.
    assert_eq!(build(end - 3600), [-3600, 0, 3600]);
    // More than a minute before it: above the end; here the second frame crosses nothing.
    let early = end - 60 * 90_000 - 1;
    assert_eq!(build(early), [early as i64, early as i64 + 3600, early as i64 + 7200]);
    // A first frame just after the start keeps later small times.
    assert_eq!(build(0), [0, 3600, 7200]);
}

#[test]
fn several_frames_in_one_packet_are_split_at_delimiters() {
    let units = [unit(5, 0xaa, 300), unit(1, 0xbb, 20), unit(1, 0xcc, 400), unit(1, 0xdd, 10)];
    let mut mux = Mux::default();
    mux.tables(0x1b, &[]);
    mux.pes(Some((3600, 3600)), &units[..3].concat(), false);
    mux.pes(Some((14_400, 14_400)), &units[3], false);
    let movie = read(&mux.out).unwrap();
    assert_eq!(times(&movie), [3600, 7200, 10_800, 14_400]);
    assert_eq!(movie.warnings.len(), 1);
    assert_eq!(payloads(&mux.out), units);
}

#[test]
fn a_frame_can_go_on_in_the_next_pes_packet() {
    let units = [unit(5, 0xaa, 700), unit(1, 0xbb, 200)];
    let mut mux = Mux::default();
    mux.tables(0x1b, &[]);
    mux.pes(Some((3600, 3600)), &units[0][..500], false);
    mux.pes(Some((7200, 7200)), &cat(&[&units[0][500..], &units[1]]), false);
    assert_eq!(payloads(&mux.out), units);
    assert_eq!(times(&read(&mux.out).unwrap()), [3600, 7200]);
}

#[test]
fn packets_sent_twice_count_once_and_gaps_are_told() {
    let mut mux = Mux::default();
    mux.tables(0x1b, &[]);
    mux.pes(Some((3600, 3600)), &unit(5, 0xaa, 600), false);
    let from = mux.out.len() - 3 * 188;
    let twice = cat(&[&mux.out[..from + 188], &mux.out[from..]]);
    assert_eq!(payloads(&twice), [unit(5, 0xaa, 600)]);
    mux.pes(Some((7200, 7200)), &unit(1, 0xbb, 600), false);
    let lost = cat(&[&mux.out[..from + 188], &mux.out[from + 376..]]);
    let movie = read(&lost).unwrap();
    assert_eq!(movie.track.samples.len(), 2);
    assert!(movie.warnings[0].contains("1 gaps"), "{:?}", movie.warnings);
}

#[test]
fn lost_sync_is_found_again() {
    let units = [unit(5, 0xaa, 600), unit(1, 0xbb, 600)];
    let mut mux = Mux::default();
    mux.tables(0x1b, &[]);
    mux.pes(Some((3600, 3600)), &units[0], false);
    let rest = mux.out.len();
    mux.pes(Some((7200, 7200)), &units[1], false);
    mux.pes(Some((10_800, 10_800)), &units[1], false);
    let bytes = cat(&[&mux.out[..rest], &[1, 2, 3, 0x47, 5], &mux.out[rest..]]);
    let mut head = vec![0x47; 0];
    head.extend(&bytes);
    let movie = read(&head).unwrap();
    assert_eq!(movie.track.samples.len(), 3);
    assert_eq!(payloads(&head)[1], units[1]);
    assert!(movie.warnings[0].contains("5 bytes"), "{:?}", movie.warnings);
}

#[test]
fn frames_before_the_first_keyframe_are_not_shown() {
    let mut mux = Mux::default();
    mux.tables(0x1b, &[]);
    for (i, kind) in [(1, 1), (2, 1), (3, 5), (4, 1)] {
        mux.pes(Some((i * 3600, i * 3600)), &unit(kind, 0xaa, 100), false);
    }
    let movie = read(&mux.out).unwrap();
    assert_eq!(movie.track.samples.iter().map(|s| s.shown).collect::<Vec<_>>(), [false, false, true, true]);
    assert_eq!(movie.start, 3 * 3600);
}

#[test]
fn recovery_points_and_random_access_flags_are_keyframes() {
    let sei = cat(&[&[0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 6, 6, 1, 0xc0, 0x80, 0, 0, 1, 0x61], &[0xaa; 50]]);
    let mut mux = Mux::default();
    mux.tables(0x1b, &[]);
    mux.pes(Some((3600, 3600)), &sei, false);
    mux.pes(Some((7200, 7200)), &unit(1, 1, 10), false);
    assert_eq!(keyframes(&read(&mux.out).unwrap()), [0]);
    let mut mux = Mux::default();
    mux.tables(0x1b, &[]);
    mux.pes(Some((3600, 3600)), &unit(1, 1, 10), false);
    mux.pes(Some((7200, 7200)), &unit(1, 1, 10), true);
    assert_eq!(keyframes(&read(&mux.out).unwrap()), [1]);
}

#[test]
fn codecs_are_told_by_type_or_registration() {
    let build = |kind: u8, descriptors: &[u8], data: &[u8]| {
        let mut mux = Mux::default();
        mux.tables(kind, descriptors);
        mux.pes(Some((3600, 3600)), data, true);
        read(&mux.out).map(|m| m.track.codec)
    };
    assert_eq!(build(2, &[], &[0, 0, 1, 0xb3, 1, 2, 3]).unwrap(), Codec::Mpeg2);
    assert_eq!(build(0x10, &[], &[0, 0, 1, 0xb6, 0]).unwrap(), Codec::Mpeg4);
    assert_eq!(build(6, &[5, 4, b'A', b'V', b'0', b'1'], &[1, 2, 3]).unwrap(), Codec::Av1);
    let error = build(0x81, &[], &[1]).unwrap_err().to_string();
    assert!(error.contains("no program with video (1 programs named, 1 tables read)"), "{error}");
}

#[test]
fn scrambled_streams_are_unsupported_and_big_frames_refused() {
    let mut mux = Mux::default();
    mux.tables(0x1b, &[]);
    let at = mux.out.len();
    mux.pes(Some((3600, 3600)), &unit(5, 0xaa, 5000), false);
    let limits = Limits { sample_bytes: 4000, ..Limits::default() };
    assert!(matches!(read_with(&mux.out, &limits), Err(MediaError::Limit { limit: 4000, .. })));
    let clear = mux.out.clone();
    mux.out[at..].chunks_mut(188).for_each(|packet| packet[3] |= 0x80);
    assert!(matches!(read(&mux.out), Err(MediaError::Unsupported { .. })));
    // One packet is damage, not protection: its bytes are missing, and those of the others are still found.
    let mut damaged = clear;
    damaged[at + 5 * 188 + 3] |= 0x80;
    damaged[at + 5 * 188 + 1] |= 0x40;
    let movie = read(&damaged).unwrap();
    assert_eq!(payloads(&damaged)[0].len(), unit(5, 0xaa, 5000).len() - 184);
    assert!(movie.warnings.iter().any(|text| text.starts_with("1 of 28 video packets are scrambled")));
}

#[test]
fn a_stream_that_ends_inside_a_packet_is_cut() {
    let mut mux = Mux::default();
    mux.tables(0x1b, &[]);
    mux.pes(Some((3600, 3600)), &unit(5, 1, 400), true);
    mux.pes(Some((7200, 7200)), &unit(1, 2, 400), false);
    assert_eq!(read(&mux.out).unwrap().warnings.len(), 0);
    let movie = read(&mux.out[..mux.out.len() - 60]).unwrap();
    assert_eq!((movie.track.samples.len(), movie.warnings.len()), (2, 1), "{:?}", movie.warnings);
    assert!(movie.warnings[0].contains("the file is cut: it ends 128 bytes into a packet"), "{:?}", movie.warnings);
}
