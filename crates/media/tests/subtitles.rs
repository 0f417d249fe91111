//! Text tracks inside films: one that FFmpeg's muxer wrote, and others built here around a golden film.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::path::{Path, PathBuf};

use zoetrope_media::{Clip, DecoderChoice, MediaError, OpenOptions, open_bytes};

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

fn opened(bytes: Vec<u8>) -> Clip {
    let options = OpenOptions {
        threads: 1,
        decoder: DecoderChoice::Embedded,
        child_program: Some(PathBuf::from(env!("CARGO_BIN_EXE_zoetrope-decode-child"))),
        ..OpenOptions::default()
    };
    open_bytes("film", bytes, &options).unwrap()
}

fn cues(clip: &Clip, number: usize) -> Vec<(f64, f64, String)> {
    let found = clip.subtitles(number).unwrap();
    let round = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
    found.cues.into_iter().map(|cue| (round(cue.start), round(cue.end), cue.text)).collect()
}

fn cue(start: f64, end: f64, text: &str) -> (f64, f64, String) {
    (start, end, text.to_string())
}

/// Made by `reference/make_subtitle_goldens.py`: SRT, ASS and WebVTT in Matroska.
#[test]
fn tracks_of_a_matroska_file_by_ffmpeg() {
    let clip = opened(golden("subtitle/film.mkv"));
    let tracks = clip.subtitle_tracks();
    let named: Vec<_> = tracks.iter().map(|track| (track.codec.as_str(), track.language.as_deref())).collect();
    assert_eq!(named, [("SRT", Some("eng")), ("ASS", Some("fre")), ("WebVTT", Some("ger"))]);
    assert!(tracks.iter().all(|track| track.readable && !track.forced));
    assert_eq!(cues(&clip, 0), [cue(0.5, 1.25, "Hello there. Second line"), cue(1.5, 2.0, "Café & more")]);
    assert_eq!(cues(&clip, 1), [cue(0.5, 1.25, "Bonjour, toi encore")]);
    assert_eq!(cues(&clip, 2), [cue(0.5, 1.25, "Hallo <du>")]);
    assert!(matches!(clip.subtitles(3), Err(MediaError::Caller(_))));
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

fn atom(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&words(&[body.len() as u32 + 8])[..], kind, &body].concat()
}

/// A text track of samples of these durations in milliseconds, which lie from `at` on.
fn text_trak(id: u32, entry: &[u8; 4], samples: &[(u32, Vec<u8>)], at: u32, edits: &[(u32, i32)]) -> Vec<u8> {
    let table = |kind, n: usize, body: Vec<u8>| atom(kind, &[&words(&[0, n as u32]), &body]);
    let sizes: Vec<u32> = samples.iter().map(|sample| sample.1.len() as u32).collect();
    let stts = samples.iter().flat_map(|sample| words(&[1, sample.0])).collect();
    let stbl = [
        atom(b"stsd", &[&words(&[0, 1]), &atom(entry, &[&[0; 38]])]),
        table(b"stts", samples.len(), stts),
        table(b"stsc", 1, words(&[1, samples.len() as u32, 1])),
        atom(b"stsz", &[&words(&[0, 0, samples.len() as u32]), &words(&sizes)]),
        table(b"stco", 1, words(&[at])),
    ]
    .concat();
    let tkhd = words(&[3, 0, 0, id, 0, 0, 0, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30, 0, 0]);
    // "deu", five bits a letter.
    let language = (4 << 10 | 5 << 5 | 21) << 16;
    let mdhd = words(&[0, 0, 0, 1000, 0, language]);
    let hdlr = [&words(&[0, 0])[..], b"sbtl", &[0; 13]].concat();
    let minf = atom(b"minf", &[&atom(b"stbl", &[&stbl])]);
    let mdia = atom(b"mdia", &[&atom(b"mdhd", &[&mdhd]), &atom(b"hdlr", &[&hdlr]), &minf]);
    let entries: Vec<u8> = edits.iter().flat_map(|&(d, t)| words(&[d, t as u32, 1 << 16])).collect();
    let elst = atom(b"elst", &[&words(&[0, edits.len() as u32]), &entries]);
    atom(b"trak", &[&atom(b"tkhd", &[&tkhd]), &atom(b"edts", &[&elst]), &mdia])
}

/// The golden MP4 film with a text track more, whose data follows the index.
fn mp4(entry: &[u8; 4], samples: &[(u32, Vec<u8>)], edits: &[(u32, i32)]) -> Vec<u8> {
    let film = golden("codec/h264-baseline.mp4");
    let moov = film.windows(4).rposition(|four| four == b"moov").unwrap() - 4;
    let size = u32::from_be_bytes(film[moov..moov + 4].try_into().unwrap()) as usize;
    assert_eq!(moov + size, film.len(), "the index is last");
    let body = &film[moov + 8..];
    let at = film.len() + text_trak(9, entry, samples, 0, edits).len() + 8;
    let trak = text_trak(9, entry, samples, at as u32, edits);
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.1.clone()).collect();
    [&film[..moov], &atom(b"moov", &[body, &trak]), &atom(b"mdat", &[&data])].concat()
}

fn tx3g(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text, &atom(b"styl", &[&[0; 14]])].concat()
}

#[test]
fn timed_text_of_an_mp4_file() {
    let wide = [0xfe, 0xff, 0x4e, 0x2d];
    let cut = [0, 99, b'x'];
    let samples = [
        (500, vec![0, 0]),
        (750, tx3g("Hello\nthere".as_bytes())),
        (250, tx3g(b"")),
        (500, tx3g(&wide)),
        (100, cut.to_vec()),
    ];
    let clip = opened(mp4(b"tx3g", &samples, &[(3000, 0)]));
    let tracks = clip.subtitle_tracks();
    assert_eq!((tracks.len(), tracks[0].codec.as_str(), tracks[0].language.as_deref()), (1, "tx3g", Some("deu")));
    let start = clip.info().start;
    let moved = |a: f64, b: f64, text: &str| cue(a - start, b - start, text);
    assert_eq!(cues(&clip, 0), [moved(0.5, 1.25, "Hello there"), moved(1.5, 2.0, "中")]);
    assert_eq!(clip.subtitles(0).unwrap().skipped, 1);
    // An empty edit delays the track, a media time lets it begin later.
    let movie = 1000;
    let clip = opened(mp4(b"tx3g", &samples, &[(movie, -1), (3000, 250)]));
    assert_eq!(cues(&clip, 0)[0], moved(1.25, 2.0, "Hello there"));
}

#[test]
fn webvtt_in_boxes_and_what_is_not_read() {
    let cue_box = |text: &str| atom(b"vttc", &[&atom(b"sttg", &[b"line:0"]), &atom(b"payl", &[text.as_bytes()])]);
    let samples =
        [(500, atom(b"vtte", &[])), (500, cue_box("<b>A</b>")), (500, [cue_box("<b>A</b>"), cue_box("B")].concat())];
    let clip = opened(mp4(b"wvtt", &samples, &[]));
    let start = clip.info().start;
    assert_eq!(cues(&clip, 0), [cue(0.5 - start, 1.5 - start, "A"), cue(1.0 - start, 1.5 - start, "B")]);
    let clip = opened(mp4(b"stpp", &samples, &[]));
    assert!(!clip.subtitle_tracks()[0].readable);
    let error = clip.subtitles(0).unwrap_err().to_string();
    assert!(error.contains("stpp"), "{error}");
    assert!(opened(golden("codec/h264-baseline.mp4")).subtitle_tracks().is_empty());
}

#[test]
fn damaged_text_tracks_leave_the_film_as_it_is() {
    for name in ["subtitle/film.mkv"] {
        let whole = golden(name);
        for at in (0..whole.len()).step_by(41) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            let options = OpenOptions { decoder: DecoderChoice::Embedded, threads: 1, ..OpenOptions::default() };
            if let Ok(clip) = open_bytes("film", bytes, &options) {
                for track in clip.subtitle_tracks() {
                    let _ = clip.subtitles(track.number);
                }
            }
        }
    }
    let film = mp4(b"tx3g", &[(500, tx3g(b"A")), (500, tx3g(b"B"))], &[]);
    let text = film.windows(4).rposition(|four| four == b"stsz").unwrap();
    let mut bytes = film;
    bytes[text + 12..text + 16].copy_from_slice(&u32::MAX.to_be_bytes());
    let clip = opened(bytes);
    assert_eq!(clip.times().len(), opened(golden("codec/h264-baseline.mp4")).times().len());
}
