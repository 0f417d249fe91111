//! Every form that rows have.

use crate::desk::{Desk, open};
use zoetrope_lab::data::DataOptions;

/// What each row is in words.
#[track_caller]
fn are(rows: &[(&str, &str)]) {
    let desk = Desk::new();
    for (row, wanted) in rows {
        assert_eq!(desk.words(row), *wanted, "{row}");
    }
}

#[test]
fn conversations_of_human_and_gpt() {
    are(&[
        (
            r#"{"id": 1, "image": "red.png", "conversations": [{"from": "human", "value": "<image>\nWhat is it?"},
                {"from": "gpt", "value": "Red."}]}"#,
            "user: {image 8x6}What is it? | assistant: Red.",
        ),
        (
            r#"{"image": ["red.png", "wide.png"], "conversations": [
                {"from": "human", "value": "First <image> then <image>?"}, {"from": "gpt", "value": "Yes."},
                {"from": "human", "value": "Sure?"}, {"from": "gpt", "value": " Yes.\n"}]}"#,
            "user: First{image 8x6}then{image 16x6}? | assistant: Yes. | user: Sure? | assistant:  Yes.\n",
        ),
        (
            r#"{"video": ["clip.gif"], "conversations": [{"from": "human", "value": "<video>\nWhat happens?"},
                {"from": "gpt", "value": "It brightens."}]}"#,
            "user: {video 8x6 at 0 0.5 1 1.5 until 2}What happens? | assistant: It brightens.",
        ),
        // A video may stand at `<image>`, and media without a placeholder stand first.
        (
            r#"{"video": "clip.gif", "conversations": [{"from": "human", "value": "What?\n<image>"},
                {"from": "gpt", "value": "It."}]}"#,
            "user: What?{video 8x6 at 0 0.5 1 1.5 until 2} | assistant: It.",
        ),
        (
            r#"{"image": "red.png", "conversations": [{"from": "system", "value": "Be short."},
                {"from": "human", "value": "What?"}, {"from": "gpt", "value": "An <image> of HTML."}]}"#,
            "system: Be short. | user: {image 8x6}What? | assistant: An <image> of HTML.",
        ),
        (
            r#"{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}], "image": null,
                "system": "Be kind."}"#,
            "system: Be kind. | user: Hi | assistant: Hello.",
        ),
    ]);
}

#[test]
fn messages_with_texts_and_with_parts() {
    are(&[
        (
            r#"{"messages": [{"role": "user", "content": "<video><image>Compare."},
                {"role": "assistant", "content": "Alike."}], "images": ["red.png"], "videos": ["clip.gif"]}"#,
            "user: {video 8x6 at 0 0.5 1 1.5 until 2}{image 8x6}Compare. | assistant: Alike.",
        ),
        (
            r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "In <image> HTML:"},
                {"type": "image_url", "image_url": {"url": "wide.png"}}]},
                {"role": "assistant", "content": [{"type": "text", "text": "A tag."}]}]}"#,
            "user: In <image> HTML:{image 16x6} | assistant: A tag.",
        ),
        (
            r#"{"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]},
                {"role": "assistant", "content": "Red."}], "images": [{"path": "red.png", "bytes": null}]}"#,
            "user: {image 8x6}What? | assistant: Red.",
        ),
        (
            r#"{"messages": [{"role": "user", "content": [{"type": "video", "video": ["red.png", "blue.png"],
                "fps": 2}, {"type": "text", "text": "What?"}]}, {"role": "assistant", "content": "Two."}]}"#,
            "user: {video 8x6 at 0 0.5 until 1}What? | assistant: Two.",
        ),
        (
            r#"{"messages": [{"role": "user", "content": "Look.", "images": ["red.png"]},
                {"role": "assistant", "content": "Red."}]}"#,
            "user: {image 8x6}Look. | assistant: Red.",
        ),
    ]);
}

#[test]
fn questions_and_answers_in_fields() {
    are(&[
        (
            r#"{"query": "<image>What?", "response": "Red.", "images": ["red.png"], "history": [["Hi", "Hello."]]}"#,
            "user: Hi | assistant: Hello. | user: {image 8x6}What? | assistant: Red.",
        ),
        (
            r#"{"instruction": "Translate.", "input": "rot", "output": "red", "system": "German."}"#,
            "system: German. | user: Translate.\nrot | assistant: red",
        ),
        (
            r#"{"instruction": "<image>What?", "input": "", "output": "Red.", "images": ["red.png"]}"#,
            "user: {image 8x6}What? | assistant: Red.",
        ),
        (r#"{"image": "red.png", "caption": "A red thing.\n"}"#, "user: {image 8x6} | assistant: A red thing."),
        (
            r#"{"video": "clip.gif", "conversations": [{"question": "What?", "answer": "It brightens."}]}"#,
            "user: {video 8x6 at 0 0.5 1 1.5 until 2}What? | assistant: It brightens.",
        ),
    ]);
}

#[test]
fn instructions_of_question_lists() {
    are(&[
        (
            r#"{"video": "clip.gif", "QA": [{"i": "Watch closely.", "q": "What?", "a": "It."},
                {"i": "Watch closely.", "q": "Why?", "a": "So."}], "start": 0.5, "end": 1.5}"#,
            "system: Watch closely. | user: {video 8x6 at 0 0.5 until 1}What? | assistant: It. | user: Why? | \
             assistant: So.",
        ),
        (
            r#"{"image": "red.png", "QA": [{"i": "Describe it.", "q": "", "a": "Red."}]}"#,
            "user: {image 8x6}Describe it. | assistant: Red.",
        ),
    ]);
}

#[test]
fn spans_of_time_are_the_answer_of_a_question_without_one() {
    are(&[
        (
            r#"{"video": "clip.gif", "conversation": [{"content": "When?"}], "timestamps": [[0.5, 1], [1.25, 2]]}"#,
            "user: {video 8x6 at 0 0.5 1 1.5 until 2}When? | assistant: 0.5-1.0 s, 1.2-2.0 s",
        ),
        (
            r#"{"video": "clip.gif", "query": "When?", "timestamps": [0.5, 1]}"#,
            "user: {video 8x6 at 0 0.5 1 1.5 until 2}When? | assistant: 0.5-1.0 s",
        ),
    ]);
}

#[test]
fn messages_with_times_show_what_has_run_before_them() {
    are(&[
        (
            r#"{"messages": [{"role": "user", "content": "Hi", "time": 1764288000},
            {"role": "assistant", "content": "Hello.", "time": "2025-11-28T00:00:00"}]}"#,
            "user: Hi | assistant: Hello.",
        ),
        (
            r#"{"stream": true, "video": ["clip.gif"], "start_time": 0, "end_time": 2, "conversation": [
            {"role": "user", "content": "<video>Tell me.", "time": 0.5},
            {"role": "assistant", "content": "Dark.", "time": 1.0},
            {"role": "assistant", "content": "Bright.", "time": 2.0}]}"#,
            "user: {video 8x6 at 0 until 0.5}Tell me.{video 8x6 at 0 until 0.5} | assistant: Dark. | \
         user: {video 8x6 at 0 0.5 until 1} | assistant: Bright.",
        ),
    ]);
}

#[test]
fn an_array_and_lines_and_windows_line_ends_hold_the_same_rows() {
    let desk = Desk::new();
    let row = |n: usize| format!(r#"{{"query": "[{n}]\",", "response": "}}\\"}}"#);
    let rows: Vec<String> = (0..3).map(row).collect();
    let files = [
        rows.join("\n"),
        format!("\u{feff}\n{}\r\n\r\n", rows.join("\r\n")),
        format!(" [\n {} ]\n", rows.join(",\n ")),
        format!("[{}]", rows.join(",")),
    ];
    for text in files {
        let data = open(&desk.write("rows", text.as_bytes()), &DataOptions::default());
        assert_eq!((data.len(), data.name()), (3, "rows"), "{text}");
        assert_eq!(data.place(1).1, 2);
        let words: Vec<String> =
            (0..3).map(|index| crate::desk::words(&data.sample(index).expect("a sample"))).collect();
        assert_eq!(words[2], r#"user: [2]", | assistant: }\"#);
        assert_eq!(data.place(1).1, 2);
    }
}

#[test]
fn one_object_over_several_lines_is_one_row() {
    let desk = Desk::new();
    let text = "{\n  \"query\": \"a\",\n  \"response\": \"b\"\n}\n";
    let data = open(&desk.write("row.json", text.as_bytes()), &DataOptions::default());
    assert_eq!(
        (data.len(), crate::desk::words(&data.sample(0).expect("a sample"))),
        (1, "user: a | assistant: b".into())
    );
}
