//! WebDataset shards, and names that stand for several files.

use zoetrope_lab::data::{DataOptions, Dataset};

use crate::desk::{Desk, open, png, push_tar, tar, words};

fn all(data: &dyn Dataset) -> Vec<String> {
    let one = |index| data.sample(index).map_or_else(|bad| format!("bad: {}", bad.reason), |sample| words(&sample));
    (0..data.len()).map(one).collect()
}

#[test]
fn files_of_a_shard_with_one_name_are_a_sample() {
    let desk = Desk::new();
    let (red, wide, clip) = (png((8, 6), [255, 0, 0]), png((16, 6), [1; 3]), std::fs::read(desk.path("clip.gif")));
    let clip = clip.expect("a clip");
    let own = br#"{"image": "1.png", "query": "<image>What?", "response": "Wide."}"#;
    let turns = br#"{"conversations": [{"from": "human", "value": "What happens?"}, {"from": "gpt", "value": "It."}]}"#;
    let files: [(&str, &[u8]); 12] = [
        ("a/000.png", &red),
        ("a/000.txt", b"A red thing.\n"),
        ("a/000.cls", b"3"),
        ("a/001.0.png", &red),
        ("a/001.1.png", &wide),
        ("a/001.json", own),
        ("._junk", b"x"),
        ("b/001.gif", &clip),
        ("b/001.json", turns),
        ("b/002.png", &red[..20]),
        ("b/002.txt", b"Broken."),
        ("b/003.json", br#"{"query": "Hi", "response": "Hello."}"#),
    ];
    let shard = desk.write("shard.bin", &tar(&files));
    let data = open(&shard, &DataOptions::default());
    let found = all(data.as_ref());
    assert_eq!(found[0], "user: {image 8x6} | assistant: A red thing.");
    assert_eq!(found[1], "user: {image 16x6}What? | assistant: Wide.");
    assert_eq!(found[2], "user: {video 8x6 at 0 0.5 1 1.5 until 2}What happens? | assistant: It.");
    assert!(found[3].starts_with("bad: media unreadable: ") && found[3].contains("b/002.png"), "{}", found[3]);
    assert_eq!(found[4..], ["user: Hi | assistant: Hello."]);
    let frame = data.sample(2).expect("a sample").media[0].source.frames(&[1]).next().map(|frame| frame.is_ok());
    assert_eq!(frame, Some(true));
}

#[test]
fn long_names_and_folders_of_an_archive_are_read() {
    let desk = Desk::new();
    let long = format!("{}/000", "folder".repeat(30));
    let mut bytes = Vec::new();
    push_tar(&mut bytes, "folder", b'5', b"");
    push_tar(&mut bytes, &format!("{long}.json"), b'0', br#"{"query": "Hi", "response": "Hello."}"#);
    let record = "18 path=x/y.json\n";
    push_tar(&mut bytes, "pax", b'x', format!("{record}{:>0}", "").as_bytes());
    push_tar(&mut bytes, "z.json", b'0', br#"{"query": "a", "response": "b"}"#);
    // Without the two empty blocks at the end.
    let data = open(&desk.write("a.tar", &bytes), &DataOptions::default());
    assert_eq!(all(data.as_ref()), ["user: Hi | assistant: Hello.", "user: a | assistant: b"]);
}

#[test]
fn braces_folders_and_lists_name_several_files() {
    let desk = Desk::new();
    for number in 8..=11 {
        let row = format!(r#"{{"query": "{number}", "response": "b"}}"#);
        let name = format!("shards/s-{number:03}.tar");
        desk.write(&name, &tar(&[("a.json", row.as_bytes()), ("b.json", row.as_bytes())]));
    }
    let firsts = |name: &str| -> Vec<String> {
        let data = open(&desk.path(name), &DataOptions::default());
        (0..data.len())
            .step_by(2)
            .map(|index| words(&data.sample(index).expect("a sample"))[6..8].to_string())
            .collect()
    };
    assert_eq!(firsts("shards/s-{008..011}.tar"), ["8 ", "9 ", "10", "11"]);
    assert_eq!(firsts("shards/s-0{10..11}.tar"), ["10", "11"]);
    desk.write("shards/note.md", b"no data");
    assert_eq!(firsts("shards"), ["8 ", "9 ", "10", "11"]);
    desk.write("list.txt", b"shards/s-009.tar\n\nshards/s-{010..011}.tar\n");
    assert_eq!(firsts("list.txt"), ["9 ", "10", "11"]);
    let data = open(&desk.path("list.txt"), &DataOptions::default());
    let (file, row) = data.place(3);
    assert!(file.ends_with("shards/s-010.tar") && row == 2);
    // Media lie beside the shard that names them.
    desk.write("shards/own.png", &png((3, 2), [1; 3]));
    desk.write("shards/rows.jsonl", br#"{"image": "own.png", "query": "What?", "response": "It."}"#);
    let data = open(&desk.write("other.txt", b"shards/rows.jsonl"), &DataOptions::default());
    assert_eq!(words(&data.sample(0).expect("a sample")), "user: {image 3x2}What? | assistant: It.");
    let missing = zoetrope_lab::data::open(&desk.path("shards/s-{008..012}.tar"), &DataOptions::default());
    assert!(missing.err().is_some_and(|error| error.to_string().ends_with("s-012.tar: no such file")));
}

#[test]
fn damaged_shards_and_arrays_are_errors_or_bad_rows_and_never_more() {
    let desk = Desk::new();
    let row = br#"{"image": "0.png", "query": "<image>What?", "response": "It."}"#;
    let shard = tar(&[("a.0.png", &png((8, 6), [7; 3])), ("a.json", row), ("b.txt", b"words"), ("b.png", b"no")]);
    let array = format!("[{0}, {{\"a\": [1, \"]}}\\\"\"]}}, {0}]", String::from_utf8_lossy(row)).into_bytes();
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for whole in [shard, array] {
        for round in 0..400 {
            let mut bytes = whole.clone();
            for _ in 0..=round % 4 {
                let at = random(bytes.len());
                bytes[at] = [0, 0xff, b'"', b'{', b']', b'7', 0x80][random(7)];
            }
            bytes.truncate(if round % 3 == 0 { random(bytes.len()) } else { bytes.len() });
            let path = desk.write("damaged", &bytes);
            let Ok(data) = zoetrope_lab::data::open(&path, &DataOptions::default()) else { continue };
            assert!(data.len() <= 64, "{}", data.len());
            all(data.as_ref());
        }
    }
}
