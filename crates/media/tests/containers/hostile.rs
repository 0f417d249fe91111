//! Hostile bytes: counts without data, cycles, deep nests, and damaged real files. All must end quickly.

use std::time::{Duration, Instant};

use crate::bytes::{atom, cat, element, open_element, read, times, words};
use crate::mp4::{fragmented_head, moof};
use zoetrope_media::container;
use zoetrope_media::container::byte_source::ByteSource;
use zoetrope_media::container::track::Container;
use zoetrope_media::{Limits, MediaError};

const KINDS: [Container; 7] = [
    Container::Mp4,
    Container::Matroska,
    Container::Avi,
    Container::Ts,
    Container::Flv,
    Container::Ivf,
    Container::Y4m,
];

/// Reads within small limits; samples that are listed must read.
fn check(bytes: &[u8], kind: Container) -> Option<MediaError> {
    let limits = Limits { samples: 50_000, sample_bytes: 1 << 20, header_bytes: 8 << 20, ..Limits::default() };
    let source = ByteSource::from_bytes(bytes);
    match container::read(&source, kind, &limits) {
        Ok(movie) => {
            for i in (0..movie.track.samples.len()).step_by(movie.track.samples.len() / 8 + 1) {
                let size = movie.track.samples[i].size as usize;
                assert!(movie.read_sample(&source, i).unwrap().len() >= size);
            }
            None
        }
        Err(MediaError::Bug(text)) => panic!("{text}"),
        Err(error) => Some(error),
    }
}

/// A fragmented MP4 of five fragments of one frame, and where each starts.
fn fragmented() -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut starts) = (fragmented_head([512, 0, 0]), Vec::new());
    for n in 0..5u8 {
        let fragment = |at| moof(0x2_0000, &[], Some(u64::from(n) * 512), &[(512, 40, 0x0200_0000, 0)], at);
        starts.push(bytes.len());
        bytes.extend(cat(&[&fragment(fragment(0).len() as u32 + 8), &atom(b"mdat", &[&[n; 40]])]));
    }
    (bytes, starts)
}

#[test]
fn fragments_are_found_again_after_damage_between_them() {
    let (whole, starts) = fragmented();
    // The header of the second fragment: zeros, no name, longer than the file.
    for header in [[0; 8], [0xff; 8], *b"\x7f\0\0\0moof"] {
        let mut damaged = whole.clone();
        damaged[starts[1]..starts[1] + 8].copy_from_slice(&header);
        let movie = read(&damaged).unwrap();
        assert!(times(&movie).ends_with(&[1024, 1536, 2048]), "{header:?}: {:?}", times(&movie));
        assert!(movie.warnings.iter().any(|text| text.contains("were passed over to the next fragment")), "{header:?}");
    }
    // A file that is cut is searched too, to no avail.
    let movie = read(&whole[..whole.len() - 20]).unwrap();
    assert_eq!(times(&movie), [0, 512, 1024, 1536]);
    assert!(movie.warnings[0].starts_with("the file is cut"), "{:?}", movie.warnings);
}

fn files() -> Vec<(Vec<u8>, Container)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/containers");
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if let Some(kind) = container::sniff(&ByteSource::from_bytes(bytes.clone())) {
            out.push((bytes, kind));
        }
    }
    assert!(out.len() >= 30);
    out
}

/// A small generator, so that runs repeat.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }
}

#[test]
fn damaged_files_end_quickly_and_without_panic() {
    let mut random = Random(7);
    let started = Instant::now();
    let mut runs = 0;
    for (bytes, kind) in files() {
        for _ in 0..60 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random.next(8) {
                let at = random.next(damaged.len());
                damaged[at] = [0, 0xff, 1, 0x7f, random.next(256) as u8][random.next(5)];
            }
            if random.next(4) == 0 {
                damaged.truncate(random.next(damaged.len()).max(1));
            }
            check(&damaged, kind);
            runs += 1;
        }
    }
    assert!(runs >= 1800);
    assert!(started.elapsed() < Duration::from_secs(60), "{:?} for {runs} files", started.elapsed());
}

#[test]
fn every_prefix_of_a_small_file_ends() {
    for (bytes, kind) in files().into_iter().filter(|f| f.0.len() < 4300) {
        for n in (1..bytes.len()).step_by(13) {
            check(&bytes[..n], kind);
        }
    }
}

#[test]
fn any_file_read_as_another_container_is_an_error_or_a_movie() {
    for (bytes, _) in files() {
        for kind in KINDS {
            check(&bytes, kind);
        }
    }
    for bytes in [vec![0u8; 5000], vec![0xff; 5000], vec![0x47; 5000]] {
        for kind in KINDS {
            assert!(check(&bytes, kind).is_some());
        }
    }
}

fn moov_with(stbl: &[u8], extra: &[u8]) -> Vec<u8> {
    let entry = atom(b"avc1", &[&[0; 24], &[0, 128, 0, 96], &[0; 50]]);
    let stsd = atom(b"stsd", &[&words(&[0, 1]), &entry]);
    let mdhd = atom(b"mdhd", &[&words(&[0, 0, 0, 1000, 0, 0])]);
    let hdlr = atom(b"hdlr", &[&words(&[0, 0]), b"vide", &[0; 13]]);
    let minf = atom(b"minf", &[&atom(b"stbl", &[&stsd, stbl])]);
    let tkhd = atom(b"tkhd", &[&words(&[3, 0, 0, 1, 0])]);
    let mvhd = atom(b"mvhd", &[&words(&[0, 0, 0, 1000, 0])]);
    let trak = atom(b"trak", &[&tkhd, extra, &atom(b"mdia", &[&mdhd, &hdlr, &minf])]);
    atom(b"moov", &[&mvhd, &trak])
}

#[test]
fn counts_without_data_cost_nothing() {
    let huge = u32::MAX;
    let one_size = atom(b"stsz", &[&words(&[0, 1, huge])]);
    let error = check(&moov_with(&one_size, &[]), Container::Mp4).unwrap();
    assert!(matches!(error, MediaError::Limit { number: 4_294_967_295, .. }), "{error}");
    // A table that claims 4 billion entries and has two.
    let sizes = atom(b"stsz", &[&words(&[0, 0, huge, 3, 3])]);
    let rest = cat(&[
        &atom(b"stts", &[&words(&[0, huge, huge, huge])]),
        &atom(b"stsc", &[&words(&[0, huge, 1, huge, 1])]),
        &atom(b"stco", &[&words(&[0, huge, 0])]),
        &atom(b"stss", &[&words(&[0, huge, 0x8000_0000])]),
        &atom(b"ctts", &[&words(&[0, huge, huge, 0x8000_0000])]),
    ]);
    assert!(check(&moov_with(&cat(&[&sizes, &rest]), &[]), Container::Mp4).is_none());
}

#[test]
fn many_overlapping_edits_stop_at_the_limit() {
    let stbl = cat(&[
        &atom(b"stsz", &[&words(&[0, 1, 400])]),
        &atom(b"stts", &[&words(&[0, 1, 400, 10])]),
        &atom(b"stsc", &[&words(&[0, 1, 1, 400, 1])]),
        &atom(b"stco", &[&words(&[0, 1, 0])]),
        &atom(b"stss", &[&words(&[0, 1, 1])]),
    ]);
    let edits: Vec<u8> = (0..100_000).flat_map(|_| words(&[4000, 0, 1 << 16])).collect();
    let edts = atom(b"edts", &[&atom(b"elst", &[&words(&[0, 100_000]), &edits])]);
    let started = Instant::now();
    let error = check(&moov_with(&stbl, &edts), Container::Mp4).unwrap();
    assert!(matches!(error, MediaError::Limit { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_fragment_run_of_billions_is_refused() {
    let mvex = atom(b"mvex", &[&atom(b"trex", &[&words(&[0, 1, 1, 1, 0, 0])])]);
    let mut moov = moov_with(&[], &[]);
    moov.extend(mvex);
    let size = moov.len() as u32;
    moov[..4].copy_from_slice(&size.to_be_bytes());
    let trun = atom(b"trun", &[&words(&[0, u32::MAX])]);
    let traf = atom(b"traf", &[&atom(b"tfhd", &[&words(&[0, 1])]), &trun]);
    let error = check(&cat(&[&moov, &atom(b"moof", &[&traf])]), Container::Mp4).unwrap();
    assert!(matches!(error, MediaError::Limit { .. }), "{error}");
}

#[test]
fn deep_nests_are_walked_without_recursion() {
    let mut boxes = Vec::new();
    let mut elements = Vec::new();
    for _ in 0..2000 {
        boxes = atom(b"moov", &[&boxes]);
        elements = open_element(0x1f43_b675, &[&elements]);
    }
    assert!(check(&boxes, Container::Mp4).is_some());
    let bytes = cat(&[&element(0x1a45_dfa3, &[]), &element(0x1853_8067, &[&elements])]);
    assert!(check(&bytes, Container::Matroska).is_some());
}

#[test]
fn repeated_cluster_marks_do_not_multiply_the_work() {
    let entry = cat(&[&element(0xd7, &[&[1]]), &element(0x83, &[&[1]]), &element(0x86, &[b"V_VP9"])]);
    let tracks = element(0x1654_ae6b, &[&element(0xae, &[&entry])]);
    // Each mark opens a cluster whose first element makes no sense.
    let marks = [0x1f, 0x43, 0xb6, 0x75, 0x88, 0x00].repeat(40_000);
    let bytes = cat(&[&element(0x1a45_dfa3, &[]), &open_element(0x1853_8067, &[&tracks, &marks])]);
    let started = Instant::now();
    assert!(check(&bytes, Container::Matroska).is_some());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn repeated_strippings_are_refused() {
    let settings = cat(&[&element(0x4254, &[&[3]]), &element(0x4255, &[&[7; 100]])]);
    let one = element(0x6240, &[&element(0x5034, &[&settings])]);
    let encodings = element(0x6d80, &[&one.repeat(20_000)]);
    let entry = cat(&[&element(0xd7, &[&[1]]), &element(0x83, &[&[1]]), &encodings]);
    let tracks = element(0x1654_ae6b, &[&element(0xae, &[&entry])]);
    let bytes = cat(&[&element(0x1a45_dfa3, &[]), &element(0x1853_8067, &[&tracks])]);
    let started = Instant::now();
    assert!(matches!(check(&bytes, Container::Matroska), Some(MediaError::Unsupported { .. })));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_packet_full_of_delimiters_stops_at_the_limit() {
    let unit = [0, 0, 1, 9, 0xf0, 0, 0, 1, 1, 0xff];
    let data = unit.repeat(100_000);
    let header = [0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1];
    let tables = [
        vec![0x47, 0x40, 0, 0x10, 0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xe1, 0, 0, 0, 0, 0],
        vec![
            0x47, 0x41, 0, 0x10, 0, 2, 0xb0, 18, 0, 1, 0xc1, 0, 0, 0xe0, 0x50, 0xf0, 0, 0x1b, 0xe0, 0x50, 0xf0, 0, 0,
            0, 0, 0,
        ],
    ];
    let mut bytes = Vec::new();
    for table in tables {
        bytes.extend(&table);
        bytes.resize(bytes.len().next_multiple_of(188), 0xff);
    }
    for (i, part) in cat(&[&header, &data]).chunks_exact(184).enumerate() {
        let start = if i == 0 { 0x40 } else { 0 };
        bytes.extend([0x47, start, 0x50, 0x10 | (i % 16) as u8]);
        bytes.extend(part);
    }
    let started = Instant::now();
    let error = check(&bytes, Container::Ts).unwrap();
    assert!(matches!(error, MediaError::Limit { limit: 50_000, .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}
