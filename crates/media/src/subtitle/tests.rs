//! Subtitle files as people have them: sound, sloppy, damaged, hostile.

use super::*;

fn cues(text: &str) -> Vec<(f64, f64, String)> {
    cues_of(text.as_bytes())
}

fn cues_of(bytes: &[u8]) -> Vec<(f64, f64, String)> {
    parse(bytes).unwrap().cues.into_iter().map(|cue| (cue.start, cue.end, cue.text)).collect()
}

fn cue(start: f64, end: f64, text: &str) -> (f64, f64, String) {
    (start, end, text.to_string())
}

fn skipped(text: &str) -> usize {
    parse(text.as_bytes()).unwrap().skipped
}

#[test]
fn srt_times_lines_and_tags() {
    let text = "1\r\n00:00:01,500 --> 00:00:04,000\r\n<i>Where</i> are\r\n<font color=\"#fff\">you?</font>\r\n\r\n\
                2\r\n01:02:03.25 --> 1:2:4 X1:10 X2:20\r\n{\\an8}- Here {sic}. <3\r\n\r\n- 1 < 2 &amp; 3 > 2\r\n";
    let wanted = [cue(1.5, 4.0, "Where are you?"), cue(3723.25, 3724.0, "- Here {sic}. <3 - 1 < 2 & 3 > 2")];
    assert_eq!(cues(text), wanted);
    assert_eq!(cues(&text.replace("\r\n", "\n")), wanted);
    assert_eq!(cues(&text.replace("\r\n", "\r")), wanted);
    // Without numbers, without blank lines, without hours, out of order.
    let sloppy = "00:05,000-->00:06,000\nB\n00:01,000 -> 00:02,500\nA\n";
    assert_eq!(cues(sloppy), [cue(1.0, 2.5, "A"), cue(5.0, 6.0, "B")]);
    // A number that is what somebody says.
    let count = "1\n00:00:01,000 --> 00:00:02,000\n3\n\n2\n00:00:02,000 --> 00:00:03,000\n2\n1\n";
    assert_eq!(cues(count), [cue(1.0, 2.0, "3"), cue(2.0, 3.0, "2 1")]);
}

#[test]
fn damaged_cues_are_counted_and_the_others_stay() {
    let text = "1\n00:00:01,000 --> 00:00:02,000\nA\n\n2\n00:00:xx,000 --> 00:00:04,000\nlost\n\n\
                3\n00:00:09,000 --> 00:00:08,000\nbackwards\n\n4\n99:99:99,000 --> 99:99:99,999\nno time\n\n\
                5\n00:00:05,000 --> \nno end\n\n6\n00:00:06,000 --> 00:00:07,000\n<i></i>\n\n\
                7\n00:00:07,000 --> 00:00:08,000\nZ";
    assert_eq!(cues(text), [cue(1.0, 2.0, "A"), cue(7.0, 8.0, "Z")]);
    assert_eq!(skipped(text), 4);
    let long = format!("00:00:01,000 --> 00:00:02,000\n{}\n\n00:00:03,000 --> 00:00:04,000\nB\n", "x".repeat(20_000));
    assert_eq!((cues(&long), skipped(&long)), (vec![cue(3.0, 4.0, "B")], 1));
    for wrong in ["nothing", "12\nwords\n", "00:00:xx,000 --> 1\nlost\n"] {
        let error = parse(wrong.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("malformed subtitle file: "), "{error}");
    }
    assert!(cues("").is_empty() && cues("\n \n").is_empty());
}

#[test]
fn webvtt_blocks_tags_and_entities() {
    let text = "WEBVTT - a film\nKind: captions\n\nNOTE\n00:01.000 --> 00:02.000\nnot shown\n\n\
                STYLE\n::cue { color: red }\n\nintro\n00:01.000 --> 01:00:02.500 align:start line:0%\n\
                <v Ann><c.loud>Hello</c> <00:01.500>&lt;you&gt;</v>\nthere&nbsp;&#8212;\n\n\
                00:03.000 --> 00:02.000\nbackwards\n\n00:04.000 --> 00:05.000\n<ruby>a<rt>b</rt></ruby>\n";
    assert_eq!(cues(text), [cue(1.0, 3602.5, "Hello <you> there \u{2014}"), cue(4.0, 5.0, "ab")]);
    assert_eq!(skipped(text), 1);
    assert!(cues("WEBVTT").is_empty() && cues("WEBVTT\n\n").is_empty());
    assert!(parse(b"WEBVTTX\n\nnothing").is_err());
}

#[test]
fn ass_fields_overrides_and_drawings() {
    let text = "[Script Info]\nTitle: x\n\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: Default,Arial\n\n[Events]\n\
                Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n\
                Dialogue: 0,0:00:03.00,0:00:04.50,Default,,0,0,0,,{\\i1}Later{\\i0}, with a comma\\Nand more\\hspace\n\
                Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,not shown\n\
                Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,First\n\
                Dialogue: 1,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\blur3}First\n\
                Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\p1}m 0 0 l 9 9{\\p0}\n\
                Dialogue: 0,0:00:05.00,Default\n";
    assert_eq!(cues(text), [cue(1.0, 2.0, "First"), cue(3.0, 4.5, "Later, with a comma and more space")]);
    assert_eq!(skipped(text), 1);
    let ssa = "[Events]\nFormat: Marked, Start, End, Text\nDialogue: Marked=0,0:00:01.00,0:00:02.00,a,b\n";
    assert_eq!(cues(ssa), [cue(1.0, 2.0, "a,b")]);
}

#[test]
fn characters_by_mark_by_utf8_and_else_windows_1252() {
    let text = "1\n00:00:01,000 --> 00:00:02,000\nCafé – “œuf”\n";
    let wanted = vec![cue(1.0, 2.0, "Café – “œuf”")];
    assert_eq!(cues(text), wanted);
    assert_eq!(cues(&format!("\u{feff}{text}")), wanted);
    let wide = |bytes: fn(u16) -> [u8; 2], mark: [u8; 2]| -> Vec<u8> {
        mark.into_iter().chain(text.encode_utf16().flat_map(bytes)).collect()
    };
    assert_eq!(cues_of(&wide(u16::to_le_bytes, [0xff, 0xfe])), wanted);
    assert_eq!(cues_of(&wide(u16::to_be_bytes, [0xfe, 0xff])), wanted);
    let narrow = b"1\n00:00:01,000 --> 00:00:02,000\nCaf\xe9 \x96 \x93\x9cuf\x94\n";
    assert_eq!(cues_of(narrow), wanted);
    // UTF-8 with one damaged byte stays UTF-8.
    let damaged = [text.as_bytes(), b"\n2\n00:00:03,000 --> 00:00:04,000\nx\xe9\n"].concat();
    assert_eq!(cues_of(&damaged), [wanted[0].clone(), cue(3.0, 4.0, "x\u{fffd}")]);
    // Control characters and marks of direction go with the styling.
    assert_eq!(cues("00:01,000 --> 00:02,000\na\u{1b}[2J\u{200f}b\0\n"), [cue(1.0, 2.0, "a[2Jb")]);
}

#[test]
fn any_bytes_are_read_or_refused() {
    let whole = [
        "WEBVTT\n\n00:01.000 --> 00:02.000\n<v A>a &amp; {\\p1}b\n",
        "1\n00:00:01,000 --> 00:00:02,000\n{\\an8}<i>a</i>\n",
        "[Events]\nFormat: Start, End, Text\nDialogue: 0:00:01.00,0:00:02.00,{\\p1}m{\\p0}a\\Nb\n",
    ];
    for text in whole {
        for at in 0..text.len() {
            for byte in [0, b'<', b'{', b'>', b',', b'&', b'-', b'\n', 0xff] {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = byte;
                let _ = parse(&bytes);
                let _ = parse(&bytes[..at]);
            }
        }
    }
    let braces = "{".repeat(50_000);
    let tags = format!("00:01,000 --> 00:02,000\n{}", "<i".repeat(8_000));
    for text in [braces, tags, format!("WEBVTT\n\n00:01.000 --> 00:02.000\n{}", "&".repeat(16_000))] {
        let begun = std::time::Instant::now();
        let _ = parse(text.as_bytes());
        assert!(begun.elapsed().as_secs() < 5);
    }
}

#[test]
fn files_beside_a_film_in_order_of_preference() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "film.de.srt",
        "film.en.vtt",
        "film.en.srt",
        "film.ass",
        "film.srt",
        "film.en.forced.srt",
        "film.2.srt",
        "film2.srt",
        "film.txt",
        "other.srt",
        "film.EN.SSA",
    ];
    for name in names {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let found = beside(&folder.path().join("film.mkv"));
    let found: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(found, ["film.srt", "film.ass", "film.en.srt", "film.en.vtt", "film.EN.SSA", "film.de.srt"]);
    assert!(beside(std::path::Path::new("/nowhere/film.mkv")).is_empty());
    let error = read_file(folder.path()).unwrap_err().to_string();
    assert!(error.contains("folder"), "{error}");
    assert!(matches!(read_file(&folder.path().join("none.srt")), Err(crate::MediaError::Io(_))));
    let large = folder.path().join("large.srt");
    std::fs::File::create(&large).unwrap().set_len((16 << 20) + 1).unwrap();
    assert!(matches!(read_file(&large), Err(crate::MediaError::Limit { .. })));
}

#[test]
fn cues_count_from_the_first_frame() {
    let found = parse(b"00:01,000 --> 00:02,000\nA\n00:09,000 --> 00:11,000\nB\n00:12,000 --> 00:13,000\nC\n").unwrap();
    let moved = found.from_start(10.0);
    let times: Vec<_> = moved.cues.iter().map(|cue| (cue.start, cue.end)).collect();
    assert_eq!(times, [(-1.0, 1.0), (2.0, 3.0)]);
}
