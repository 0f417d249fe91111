//! Everything that makes a row bad, and files that are no data.

use zoetrope_lab::data::{self, DataOptions};

use crate::desk::{Desk, open, png};

#[test]
fn every_kind_of_bad_row_has_its_reason() {
    let desk = Desk::new();
    desk.write("broken.png", &png((8, 6), [1, 2, 3])[..20]);
    desk.write("words.png", b"no picture at all");
    let turns = |media: &str, question: &str| {
        format!(
            r#"{{{media} "conversations": [{{"from": "human", "value": "{question}"}}, {{"from": "gpt",
            "value": "It."}}]}}"#
        )
    };
    let rows = [
        (turns(r#""image": "gone.png","#, "What?"), "media missing: DESK/gone.png"),
        (turns(r#""image": "words.png","#, "What?"), "media unreadable: DESK/words.png: "),
        (turns(r#""image": "broken.png","#, "What?"), "media unreadable: DESK/broken.png: "),
        (turns(r#""image": "../red.png","#, "What?"), "media outside the media folder: ../red.png"),
        (turns(r#""image": "a/../../red.png","#, "What?"), "media outside the media folder: a/../../red.png"),
        (turns(r#""image": "/etc/passwd","#, "What?"), "media outside the media folder: /etc/passwd"),
        (turns(r#""image": "https://a.org/b.png","#, "What?"), "media at an address: https://a.org/b.png"),
        (turns(r#""audio": "a.wav","#, "What?"), "not supported: \"audio\""),
        (turns(r#""image": 7,"#, "What?"), "field of a wrong type: \"image\" is 7, not a string"),
        (turns(r#""image": {"size": 1},"#, "What?"), "field of a wrong type: \"image\" is an object, not a path"),
        (turns(r#""image": "data:image/png;base64,???","#, "What?"), "field of a wrong type: \"image\" is no base64"),
        (
            turns(r#""image": ["red.png", "blue.png"],"#, "<image>What?"),
            "placeholders do not fit: 1 <image> and 0 <video>, the row has 2 images and 0 videos",
        ),
        (turns("", "<video>What?"), "placeholders do not fit: 0 <image> and 1 <video>, the row has 0 images"),
        (
            turns(r#""image": "red.png", "video": "clip.gif","#, "<image><image>"),
            "placeholders do not fit: 2 <image> and 0 <video>, the row has 1 images and 1 videos",
        ),
        (turns("", " "), "empty question: turn 1"),
        (turns(r#""video": "clip.gif", "start": 1, "end": 1,"#, "What?"), "times do not fit: the start, 1 s"),
        (turns(r#""video": "clip.gif", "start": 7,"#, "What?"), "times do not fit: DESK/clip.gif: no frame from 7 s"),
        (turns(r#""video": "red.png", "start": 7,"#, "What?"), "times do not fit: DESK/red.png is a picture"),
        (
            turns(r#""video": ["red.png", "blue.png"], "timestamps": [1],"#, "What?"),
            "times do not fit: \"timestamps\" has 1 times for 2 frames",
        ),
        (
            turns(r#""video": [{"path": "red.png", "time": 2}, {"path": "blue.png", "time": 1}],"#, "What?"),
            "times do not fit: frame 2 at 1 s follows one at 2 s",
        ),
        (turns(r#""frames": ["clip.gif"],"#, "What?"), "media unreadable: DESK/clip.gif: a frame must be a picture"),
        (turns(r#""tools": [{"name": "a"}],"#, "What?"), "not supported: \"tools\""),
        (
            r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "loss": false}]}"#
                .into(),
            "not supported: turn 2 is not to be learned",
        ),
        (r#"{"query": "What?", "response": "\n"}"#.into(), "empty answer: turn 2"),
        (r#"{"query": "What?"}"#.into(), "roles do not alternate: the last question has no answer"),
        (r#"{"conversations": []}"#.into(), "no conversation: the fields are conversations"),
        (r#"{"id": 3, "label": "cat"}"#.into(), "no conversation: the fields are id, label"),
        (
            r#"{"question": "What?", "answer": "A", "choices": ["A", "B"]}"#.into(),
            "not supported: \"choices\": write the choices into the question",
        ),
        (r#"{"messages": [{"role": "tool", "content": "x"}]}"#.into(), "unknown role: \"tool\" in turn 1"),
        (
            r#"{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}"#.into(),
            "roles do not alternate: turn 2 is of the user, not of the assistant",
        ),
        (
            r#"{"messages": [{"role": "assistant", "content": "a"}]}"#.into(),
            "roles do not alternate: turn 1 is of the assistant, not of the user",
        ),
        (
            r#"{"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}"#.into(),
            "not supported: a part of type \"input_audio\" in turn 1",
        ),
        (r#"{"messages": "Hi"}"#.into(), "field of a wrong type: \"messages\" is \"Hi\", not a list"),
        (r#"{"messages": ["Hi"]}"#.into(), "field of a wrong type: turn 1 of \"messages\" is a string, not an object"),
        (
            r#"{"stream": true, "conversation": [{"role": "user", "content": "a", "time": 1}]}"#.into(),
            "times do not fit: messages have times, and there is not exactly one video",
        ),
    ];
    for (row, wanted) in rows {
        let words = desk.words(&row);
        assert!(words.starts_with(&format!("bad: {wanted}")), "{row}\n{words}\nwanted {wanted}");
    }
}

#[test]
fn a_bad_row_leaves_the_others_as_they_are() {
    let desk = Desk::new();
    let good = r#"{"query": "a", "response": "b"}"#;
    let lines = format!("{good}\n{{\"query\": \"a\n\n{good}\nnull\n{good}");
    let data = open(&desk.write("a.jsonl", lines.as_bytes()), &DataOptions::default());
    let reasons = |data: &dyn data::Dataset| -> Vec<String> {
        let reason =
            |index| data.sample(index).err().map_or("good".to_string(), |bad| format!("{} {}", bad.row, bad.kind()));
        (0..data.len()).map(reason).collect()
    };
    assert_eq!(reasons(data.as_ref()), ["good", "2 not JSON", "good", "4 not an object", "good"]);
    let bad = data.sample(1).expect_err("no sample");
    assert!(bad.to_string().starts_with(&format!("{}: row 2: not JSON: ", desk.path("a.jsonl").display())), "{bad}");
    // An array that was cut off.
    for (array, wanted) in [
        (format!("[{good}, {good}, {{\"que"), vec!["good", "good", "3 not JSON"]),
        (format!("[{good},"), vec!["good", "2 not JSON"]),
        (format!("[{good}, {{\"a\": tru}}, {good}]"), vec!["good", "2 not JSON", "good"]),
    ] {
        let data = open(&desk.write("a.json", array.as_bytes()), &DataOptions::default());
        assert_eq!(reasons(data.as_ref()), wanted, "{array}");
    }
}

#[test]
fn a_row_that_is_too_long_is_bad_and_is_not_read() {
    let desk = Desk::new();
    let path = desk.write("long.jsonl", br#"{"query": ""#);
    let mut file = std::fs::File::options().append(true).open(&path).expect("a file");
    // A hole: it takes no room on the disk.
    file.set_len((64 << 20) + 1).expect("a hole");
    std::io::Write::write_all(&mut file, b"\n{\"query\": \"a\", \"response\": \"b\"}").expect("a row");
    let data = open(&path, &DataOptions::default());
    assert_eq!(data.len(), 2);
    assert_eq!(data.sample(0).expect_err("no sample").reason, "row too long: 67108866 bytes, at most 67108864");
    assert!(data.sample(1).is_ok());
}

#[test]
fn files_that_are_no_data_are_told_by_name() {
    let desk = Desk::new();
    let cases: [(&str, &[u8], &str); 7] = [
        ("empty.json", b" \n", "no rows: the file is empty"),
        ("words.txt", b"once upon a time", "neither JSON, JSON lines, a tar archive nor a list of such files"),
        ("rows.jsonl.gz", &[0x1f, 0x8b, 8, 0], "a gzip file; unpack it first"),
        ("rows.parquet", b"PAR1abc", "Parquet"),
        ("two.json", b"[{}] [{}]", "something follows the end of the array, at byte 5"),
        ("list.txt", b"list.txt\n", "a list of files inside a list of files"),
        ("cut.tar", &crate::desk::tar(&[("a.txt", &[7; 2000])])[..1024], "the archive ends inside a file"),
    ];
    for (name, bytes, wanted) in cases {
        let path = desk.write(name, bytes);
        let error = data::open(&path, &DataOptions::default()).err().expect("no data").to_string();
        assert!(error.starts_with(&path.display().to_string()) && error.contains(wanted), "{error}");
    }
    let error = data::open(&desk.path("gone.json"), &DataOptions::default()).err().expect("no data").to_string();
    assert!(error.ends_with("gone.json: no such file"), "{error}");
}
