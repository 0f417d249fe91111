//! MP4 and QuickTime.

use crate::bytes::{atom, atom64, cat, keyframes, read, read_with, shown, times, words};
use zoetrope_media::container::track::{Codec, Orientation};
use zoetrope_media::{Limits, MediaError};

/// A file with one track, described in plain values.
pub(crate) struct File {
    pub(crate) media_scale: u32,
    pub(crate) movie_scale: u32,
    pub(crate) stts: Vec<(u32, u32)>,
    pub(crate) ctts: Vec<(u32, i32)>,
    pub(crate) stss: Option<Vec<u32>>,
    /// Samples per chunk.
    pub(crate) per_chunk: u32,
    pub(crate) sizes: Vec<u32>,
    pub(crate) edits: Vec<(u32, i32)>,
    pub(crate) matrix: [i32; 4],
    pub(crate) entry: Vec<u8>,
    pub(crate) wide: bool,
}

impl Default for File {
    fn default() -> Self {
        File {
            media_scale: 12800,
            movie_scale: 1000,
            stts: vec![(6, 512)],
            ctts: vec![],
            stss: Some(vec![1, 4]),
            per_chunk: 2,
            sizes: vec![10, 11, 12, 13, 14, 15],
            edits: vec![],
            matrix: [1 << 16, 0, 0, 1 << 16],
            entry: entry(b"avc1", &[&atom(b"avcC", &[&[1, 100, 0, 30, 0xff, 0xe0, 0]])]),
            wide: false,
        }
    }
}

pub(crate) fn entry(kind: &[u8; 4], boxes: &[&[u8]]) -> Vec<u8> {
    let head = cat(&[&[0; 6], &[0, 1], &[0; 16], &[0, 128, 0, 96], &[0; 50]]);
    atom(kind, &[&head, &cat(boxes)])
}

impl File {
    /// The bytes, with `mdat` first or last.
    pub(crate) fn build(&self, index_first: bool) -> Vec<u8> {
        let data: Vec<u8> = self.sizes.iter().enumerate().flat_map(|(i, &n)| vec![i as u8; n as usize]).collect();
        let ftyp = atom(b"ftyp", &[b"isom\0\0\0\0"]);
        let mdat = if self.wide { atom64(b"mdat", &[&data]) } else { atom(b"mdat", &[&data]) };
        let head = mdat.len() - data.len();
        let before = ftyp.len() + head;
        let moov = self.moov(if index_first { before + self.moov(0).len() } else { before });
        if index_first { cat(&[&ftyp, &moov, &mdat]) } else { cat(&[&ftyp, &mdat, &moov]) }
    }

    pub(crate) fn moov(&self, data_at: usize) -> Vec<u8> {
        let pairs = |p: &[(u32, i32)]| p.iter().flat_map(|&(n, v)| words(&[n, v as u32])).collect::<Vec<u8>>();
        let table = |kind, n: usize, body: &[u8]| atom(kind, &[&words(&[0, n as u32]), body]);
        let stts: Vec<(u32, i32)> = self.stts.iter().map(|&(n, v)| (n, v as i32)).collect();
        let mut offsets = Vec::new();
        let mut at = data_at;
        for group in self.sizes.chunks(self.per_chunk as usize) {
            offsets.push(at as u32);
            at += group.iter().sum::<u32>() as usize;
        }
        let co: Vec<u8> = match self.wide {
            true => table(b"co64", offsets.len(), &offsets.iter().flat_map(|&o| words(&[0, o])).collect::<Vec<u8>>()),
            false => table(b"stco", offsets.len(), &words(&offsets)),
        };
        let mut stbl = vec![
            atom(b"stsd", &[&words(&[0, 1]), &self.entry]),
            table(b"stts", stts.len(), &pairs(&stts)),
            table(b"stsc", 1, &words(&[1, self.per_chunk, 1])),
            atom(b"stsz", &[&words(&[0, 0, self.sizes.len() as u32]), &words(&self.sizes)]),
            co,
        ];
        if !self.ctts.is_empty() {
            stbl.push(table(b"ctts", self.ctts.len(), &pairs(&self.ctts)));
        }
        if let Some(stss) = &self.stss {
            stbl.push(table(b"stss", stss.len(), &words(stss)));
        }
        let stbl = atom(b"stbl", &[&stbl.concat()]);
        let [a, b, c, d] = self.matrix.map(|v| v as u32);
        let tkhd = words(&[3, 0, 0, 1, 0, 0, 0, 0, 0, 0, a, b, 0, c, d, 0, 0, 0, 1 << 30, 128 << 16, 96 << 16]);
        let mdhd = words(&[0, 0, 0, self.media_scale, 0, 0]);
        let hdlr = cat(&[&words(&[0, 0]), b"vide", &[0; 13]]);
        let mdia = atom(b"mdia", &[&atom(b"mdhd", &[&mdhd]), &atom(b"hdlr", &[&hdlr]), &atom(b"minf", &[&stbl])]);
        let edits: Vec<u8> = self.edits.iter().flat_map(|&(d, t)| words(&[d, t as u32, 1 << 16])).collect();
        let edts = match self.edits.len() {
            0 => vec![],
            n => atom(b"edts", &[&atom(b"elst", &[&words(&[0, n as u32]), &edits])]),
        };
        let one = 1 << 16;
        let mvhd = words(&[0, 0, 0, self.movie_scale, 0, one, 0, 0, 0, one, 0, 0, 0, one, 0, 0, 0, 1 << 30, 0, 0]);
        let trak = atom(b"trak", &[&atom(b"tkhd", &[&tkhd]), &edts, &mdia]);
        atom(b"moov", &[&atom(b"mvhd", &[&mvhd]), &trak])
    }
}

#[test]
fn plain_tables_are_expanded() {
    for index_first in [true, false] {
        for wide in [true, false] {
            let bytes = File { wide, ..File::default() }.build(index_first);
            let movie = read(&bytes).unwrap();
            assert_eq!(times(&movie), [0, 512, 1024, 1536, 2048, 2560]);
            assert_eq!(keyframes(&movie), [0, 3]);
            assert_eq!((movie.track.width, movie.track.height, movie.track.timescale), (128, 96, 12800));
            assert_eq!(movie.track.codec, Codec::H264);
            assert!(movie.track.length_prefixed);
            assert_eq!(movie.track.duration, Some(3072));
            assert_eq!(movie.warnings, Vec::<String>::new());
            let source = zoetrope_media::container::byte_source::ByteSource::from_bytes(bytes);
            for i in 0..6 {
                assert_eq!(movie.read_sample(&source, i).unwrap(), vec![i as u8; 10 + i]);
            }
            assert!(matches!(movie.read_sample(&source, 6), Err(MediaError::Caller(_))));
        }
    }
}

#[test]
fn without_stss_every_frame_is_a_keyframe_and_with_an_empty_one_the_first() {
    // A codec whose headers say nothing against it.
    let entry = entry(b"mp4v", &[]);
    assert_eq!(
        keyframes(&read(&File { stss: None, entry, ..File::default() }.build(true)).unwrap()),
        [0, 1, 2, 3, 4, 5]
    );
    let movie = read(&File { stss: Some(vec![]), ..File::default() }.build(true)).unwrap();
    assert_eq!(keyframes(&movie), [0]);
    assert_eq!(movie.warnings.len(), 1);
}

#[test]
fn composition_offsets_without_edits_are_kept() {
    let ctts = vec![(1, 1024), (1, 2048), (1, 512), (3, 1024)];
    let movie = read(&File { ctts, ..File::default() }.build(true)).unwrap();
    assert_eq!(times(&movie), [1024, 2560, 1536, 2560, 3072, 3584]);
    assert_eq!(movie.start, 1024);
}

/// Without an edit list the first frame keeps its time and is decoded earlier, as in FFmpeg.
#[test]
fn negative_composition_offsets_lower_the_decoding_times() {
    let ctts = vec![(1, 0), (1, 1024), (2, -512), (2, 0)];
    let movie = read(&File { ctts, ..File::default() }.build(true)).unwrap();
    assert_eq!((times(&movie), movie.start), (vec![0, 1536, 512, 1024, 2048, 2560], 0));
    let dts: Vec<i64> = movie.track.samples.iter().map(|s| s.dts).collect();
    assert_eq!(dts, [-512, 0, 512, 1024, 1536, 2048]);
    assert!(movie.track.samples.iter().all(|s| s.dts <= s.pts));
}

#[test]
fn an_edit_starts_at_its_media_time_and_an_empty_one_delays() {
    let ctts = vec![(6, 1024)];
    // 12800 media ticks and 1000 movie ticks per second: 240 ms is the whole media.
    let plain = File { ctts: ctts.clone(), edits: vec![(240, 1024)], ..File::default() };
    assert_eq!(shown(&read(&plain.build(true)).unwrap()), [0, 512, 1024, 1536, 2048, 2560]);
    let late = File { ctts, edits: vec![(1000, -1), (240, 1024)], ..File::default() };
    assert_eq!(shown(&read(&late.build(true)).unwrap()), [12800, 13312, 13824, 14336, 14848, 15360]);
}

#[test]
fn frames_outside_an_edit_are_for_decoding_only() {
    // From frame 4 (the second group starts at 3) for one frame.
    let file = File { edits: vec![(40, 2048)], ..File::default() };
    let movie = read(&file.build(true)).unwrap();
    let flags: Vec<(i64, bool)> = movie.track.samples.iter().map(|s| (s.pts, s.shown)).collect();
    assert_eq!(flags, [(-512, false), (0, true), (512, false)]);
    assert_eq!(keyframes(&movie), [0]);
    assert_eq!(movie.track.duration, Some(512));
}

#[test]
fn an_edit_that_shows_nothing_is_malformed() {
    let error = read(&File { edits: vec![(40, 1 << 30)], ..File::default() }.build(true)).unwrap_err();
    assert!(matches!(error, MediaError::Malformed { part: "video track", .. }), "{error}");
}

#[test]
fn the_matrix_gives_quarter_turns() {
    let one = 1 << 16;
    let turn = |matrix| read(&File { matrix, ..File::default() }.build(true)).unwrap();
    for (matrix, mirrored, rotation) in [
        ([one, 0, 0, one], false, 0),
        ([0, one, -one, 0], false, 90),
        ([-one, 0, 0, -one], false, 180),
        ([0, -one, one, 0], false, 270),
        ([0, 0, 0, 0], false, 0),
        ([-one, 0, 0, one], true, 0),
        ([0, -one, -one, 0], true, 90),
        ([one, 0, 0, -one], true, 180),
        ([0, one, one, 0], true, 270),
    ] {
        let movie = turn(matrix);
        assert_eq!(movie.track.orientation, Orientation { mirrored, rotation }, "{matrix:?}");
        assert!(movie.warnings.is_empty(), "{matrix:?}");
    }
    let skewed = turn([one, one, 0, one]);
    assert_eq!((skewed.track.orientation, skewed.warnings.len()), (Orientation::default(), 1));
}

#[test]
fn color_aspect_ratio_and_configuration_come_from_the_sample_entry() {
    let colr = atom(b"colr", &[b"nclx", &[0, 9, 0, 16, 0, 9, 0x80]]);
    let pasp = atom(b"pasp", &[&words(&[8, 6])]);
    let config = atom(b"hvcC", &[&[1, 2, 3]]);
    let movie = read(&File { entry: entry(b"hvc1", &[&config, &colr, &pasp]), ..File::default() }.build(true)).unwrap();
    let track = movie.track;
    assert_eq!((track.codec, track.extradata, track.length_prefixed), (Codec::Hevc, vec![1, 2, 3], true));
    assert_eq!(track.sar, Some((4, 3)));
    let color = track.color;
    assert_eq!((color.primaries, color.transfer, color.matrix), (Some(9), Some(16), Some(9)));
    assert_eq!(color.full_range, Some(true));
}

#[test]
fn mpeg4_configuration_is_found_in_the_descriptor() {
    let inner = cat(&[&[4, 17, 0x20], &[0; 12], &[5, 2, 0xb0, 0x01]]);
    let esds = cat(&[&[0; 4], &[3, 22, 0, 1, 0], &inner]);
    let movie = read(&File { entry: entry(b"mp4v", &[&atom(b"esds", &[&esds])]), ..File::default() }.build(true));
    let track = movie.unwrap().track;
    assert_eq!((track.codec, track.extradata), (Codec::Mpeg4, vec![0xb0, 0x01]));
}

#[test]
fn codes_name_codecs() {
    let cases: [(&[u8; 4], Codec); 8] = [
        (b"avc3", Codec::H264),
        (b"hev1", Codec::Hevc),
        (b"vp08", Codec::Vp8),
        (b"vp09", Codec::Vp9),
        (b"av01", Codec::Av1),
        (b"mjpg", Codec::Mjpeg),
        (b"apcn", Codec::Other("apcn".into())),
        (b"m2v1", Codec::Mpeg2),
    ];
    for (code, codec) in cases {
        assert_eq!(read(&File { entry: entry(code, &[]), ..File::default() }.build(true)).unwrap().track.codec, codec);
    }
}

#[test]
fn encrypted_tracks_are_unsupported() {
    let sinf = atom(b"sinf", &[&atom(b"frma", &[b"avc1"])]);
    let error = read(&File { entry: entry(b"encv", &[&sinf]), ..File::default() }.build(true)).unwrap_err();
    assert!(matches!(error, MediaError::Unsupported { .. }));
    assert!(error.to_string().contains("avc1"), "{error}");
}

#[test]
fn a_zero_clock_falls_back_to_the_movie() {
    let movie = read(&File { media_scale: 0, movie_scale: 600, ..File::default() }.build(true)).unwrap();
    assert_eq!((movie.track.timescale, movie.warnings.len()), (600, 1));
    let movie = read(&File { media_scale: 0, movie_scale: 0, stts: vec![(6, 1)], ..File::default() }.build(true));
    assert_eq!(movie.unwrap().track.timescale, 1);
}

#[test]
fn a_cut_file_with_its_index_first_gives_what_is_there() {
    let bytes = File::default().build(true);
    // The last frame has 15 bytes, the one before 14.
    let movie = read(&bytes[..bytes.len() - 16]).unwrap();
    assert_eq!(times(&movie), [0, 512, 1024, 1536]);
    assert!(movie.warnings.iter().any(|w| w == "the file is cut: 4 of 6 frames are there"), "{:?}", movie.warnings);
    let error = read(&bytes[..bytes.len() - 70]).unwrap_err().to_string();
    assert!(error.contains("none of its 6 frames lies inside the file"), "{error}");
}

#[test]
fn a_cut_file_with_its_index_last_says_so() {
    let bytes = File::default().build(false);
    let error = read(&bytes[..60]).unwrap_err();
    assert!(matches!(error, MediaError::Malformed { .. }));
    assert!(error.to_string().contains("the index (moov) is missing because the file is cut"), "{error}");
    let error = read(&bytes[..bytes.len() - 300]).unwrap_err();
    assert!(error.to_string().contains("the file is cut inside the index"), "{error}");
}

#[test]
fn a_last_box_of_size_zero_reaches_to_the_end() {
    let mut bytes = File::default().build(true);
    let at = bytes.len() - 75 - 8;
    assert_eq!(&bytes[at + 4..at + 8], b"mdat");
    bytes[at..at + 4].fill(0);
    assert_eq!(read(&bytes).unwrap().track.samples.len(), 6);
}

#[test]
fn what_is_missing_is_told_in_plain_words() {
    let error = |parts: &[&[u8]]| read(&cat(parts)).unwrap_err().to_string();
    let ftyp = atom(b"ftyp", &[b"isom\0\0\0\0"]);
    let segment = moof(0x2_0000, &[], Some(0), &[(1, 1, 0, 0)], 0);
    let data = atom(b"mdat", &[b"a"]);
    assert!(error(&[&segment, &data]).contains("a media segment without its init segment"));
    assert!(error(&[&ftyp, &data]).contains("the recording was not finished"));
    // The size of the data was to be filled in later.
    assert!(error(&[&ftyp, &words(&[1]), b"mdat", &[0; 40]]).contains("the recording was not finished"));
    assert!(error(&[&ftyp, &atom(b"free", &[&[0; 9]])]).contains("no index (moov) among its 2 boxes"));
}

/// `moof` for track 1 with runs of (data offset, samples of (duration, size, flags, offset)).
pub(crate) fn moof(
    tfhd_flags: u32,
    tfhd: &[u32],
    tfdt: Option<u64>,
    run: &[(u32, u32, u32, i32)],
    data_at: u32,
) -> Vec<u8> {
    let samples: Vec<u8> = run.iter().flat_map(|&(d, s, f, o)| words(&[d, s, f, o as u32])).collect();
    let trun = atom(b"trun", &[&words(&[0x0100_0f01, run.len() as u32, data_at]), &samples]);
    let tfdt = tfdt.map_or(vec![], |t| atom(b"tfdt", &[&words(&[1 << 24]), &t.to_be_bytes()]));
    let tfhd = atom(b"tfhd", &[&words(&[tfhd_flags, 1]), &words(tfhd)]);
    atom(b"moof", &[&atom(b"mfhd", &[&words(&[0, 1])]), &atom(b"traf", &[&tfhd, &tfdt, &trun])])
}

pub(crate) fn fragmented_head(defaults: [u32; 3]) -> Vec<u8> {
    let file = File { sizes: vec![], stts: vec![], stss: None, ..File::default() };
    let mut moov = file.moov(0);
    let [duration, size, flags] = defaults;
    moov.extend(atom(b"mvex", &[&atom(b"trex", &[&words(&[0, 1, 1, duration, size, flags])])]));
    let size = moov.len() as u32;
    moov[..4].copy_from_slice(&size.to_be_bytes());
    cat(&[&atom(b"ftyp", &[b"isom\0\0\0\0"]), &moov])
}

#[test]
fn fragments_are_joined() {
    let head = fragmented_head([512, 0, 0]);
    let run = [(512, 4, 0x0200_0000, 1024), (512, 3, 0x0101_0000, 512), (256, 2, 0x0101_0000, 0)];
    let size = moof(0x2_0000, &[], Some(0), &run, 0).len() as u32;
    let one = moof(0x2_0000, &[], Some(10_000), &run, size + 8);
    let two = moof(0, &[], None, &run, size - 20 + 8);
    let data = atom(b"mdat", &[b"aaaabbbcc"]);
    let bytes = cat(&[&head, &one, &data, &two, &data]);
    let movie = read(&bytes).unwrap();
    assert_eq!(times(&movie), [11024, 11024, 11024, 12304, 12304, 12304]);
    assert_eq!(keyframes(&movie), [0, 3]);
    let source = zoetrope_media::container::byte_source::ByteSource::from_bytes(bytes.clone());
    let read_all: Vec<Vec<u8>> = (0..6).map(|i| movie.read_sample(&source, i).unwrap()).collect();
    assert_eq!(read_all, [&b"aaaa"[..], b"bbb", b"cc", b"aaaa", b"bbb", b"cc"]);
    // Cut inside the second fragment's data.
    let movie = read(&bytes[..bytes.len() - 4]).unwrap();
    assert_eq!(movie.track.samples.len(), 4);
}

#[test]
fn fragment_defaults_come_from_the_header_boxes() {
    let head = fragmented_head([512, 3, 0x0101_0000]);
    // No fields in the run: all from trex, but the first sample's flags.
    let trun = atom(b"trun", &[&words(&[5, 3, 0, 0])]);
    let build = |tfhd: &[u8]| {
        let traf = atom(b"traf", &[&atom(b"tfhd", &[tfhd]), &trun]);
        cat(&[&head, &atom(b"moof", &[&traf]), &atom(b"mdat", &[&[7; 20]])])
    };
    let movie = read(&build(&words(&[0, 1]))).unwrap();
    assert_eq!((times(&movie), keyframes(&movie)), (vec![0, 512, 1024], vec![0]));
    assert!(movie.track.samples.iter().all(|s| s.size == 3));
    // tfhd overrides duration, size and flags.
    let movie = read(&build(&words(&[0x38, 1, 100, 5, 0]))).unwrap();
    assert_eq!((times(&movie), keyframes(&movie)), (vec![0, 100, 200], vec![0, 1, 2]));
    assert!(movie.track.samples.iter().all(|s| s.size == 5));
    // Another track's fragment gives nothing.
    assert!(matches!(read(&build(&words(&[0, 2]))), Err(MediaError::Malformed { .. })));
}

#[test]
fn small_sizes_and_one_size_for_all() {
    let file = File::default();
    let bytes = file.build(true);
    let at = bytes.windows(4).position(|w| w == b"stsz").unwrap();
    // One size of 12 for all six: the same 36-byte table position, the entries left unused.
    let mut one = bytes.clone();
    one[at + 8..at + 12].copy_from_slice(&words(&[12]));
    let movie = read(&one).unwrap();
    assert!(movie.track.samples.iter().all(|s| s.size == 12));
    // stz2 of 8 bits: the bytes of the old table are 0 0 0 10 0 0.
    let mut small = bytes.clone();
    small[at..at + 4].copy_from_slice(b"stz2");
    small[at + 8..at + 12].copy_from_slice(&words(&[8]));
    let sizes: Vec<u32> = read(&small).unwrap().track.samples.iter().map(|s| s.size).collect();
    assert_eq!(sizes, [10], "empty samples are left out");
}

#[test]
fn limits_are_checked_before_the_tables_are_expanded() {
    let limits = Limits { samples: 5, ..Limits::default() };
    let error = read_with(&File::default().build(true), &limits).unwrap_err();
    assert!(matches!(error, MediaError::Limit { number: 6, limit: 5, .. }), "{error}");
    let limits = Limits { header_bytes: 100, ..Limits::default() };
    assert!(matches!(read_with(&File::default().build(true), &limits), Err(MediaError::Limit { .. })));
    let limits = Limits { sample_bytes: 14, ..Limits::default() };
    assert!(matches!(read_with(&File::default().build(true), &limits), Err(MediaError::Limit { number: 15, .. })));
    let limits = Limits { pixels: 128 * 96 - 1, ..Limits::default() };
    assert!(matches!(read_with(&File::default().build(true), &limits), Err(MediaError::Limit { .. })));
    let limits = Limits { seconds: 0.1, ..Limits::default() };
    assert!(matches!(read_with(&File::default().build(true), &limits), Err(MediaError::Limit { .. })));
    let limits = Limits { file_bytes: 100, ..Limits::default() };
    assert!(matches!(read_with(&File::default().build(true), &limits), Err(MediaError::Limit { .. })));
}
