//! Pairs of preferences: every form, and everything that makes one bad.

use crate::desk::{Desk, words};
use zoetrope_lab::sample::Sample;

/// The pair in words: the chosen conversation, and the last message of the rejected one.
fn pair(sample: &Sample) -> String {
    let rejected = sample.of_rejected().map_or("none".to_string(), |rejected| {
        let rejected = words(&rejected);
        rejected.rsplit(" | ").next().unwrap_or_default().to_string()
    });
    format!("{} || {rejected}", words(sample))
}

/// What each row is in words.
#[track_caller]
fn are(rows: &[(&str, &str)]) {
    let desk = Desk::new();
    for (row, wanted) in rows {
        let found = desk.sample(row).map_or_else(|bad| format!("bad: {}", bad.reason), |sample| pair(&sample));
        assert_eq!(found, *wanted, "{row}");
    }
}

const RED: &str = "user: {image 8x6}What is it? | assistant: Red. || assistant: Blue.";

#[test]
fn llama_factory_has_turns_behind_a_conversation() {
    are(&[
        (
            r#"{"conversations": [{"from": "human", "value": "<image>What is it?"}], "images": ["red.png"],
                "chosen": {"from": "gpt", "value": "Red."}, "rejected": {"from": "gpt", "value": "Blue."}}"#,
            RED,
        ),
        (
            r#"{"messages": [{"role": "user", "content": "<image>What is it?"}], "images": ["red.png"],
                "chosen": {"role": "assistant", "content": "Red."},
                "rejected": {"role": "assistant", "content": "Blue."}}"#,
            RED,
        ),
        (
            r#"{"instruction": "<image>What is it?", "input": "", "chosen": "Red.", "rejected": "Blue.",
                "images": ["red.png"], "system": "Be short."}"#,
            "system: Be short. | user: {image 8x6}What is it? | assistant: Red. || assistant: Blue.",
        ),
        (
            r#"{"instruction": "Translate.", "input": "rot", "output": "red", "rejected": "rust"}"#,
            "user: Translate.\nrot | assistant: red || assistant: rust",
        ),
    ]);
}

#[test]
fn ms_swift_has_rejected_answers_beside_messages() {
    are(&[
        (
            r#"{"messages": [{"role": "user", "content": "<image>What is it?"},
                {"role": "assistant", "content": "Red."}], "rejected_response": "Blue.", "images": ["red.png"]}"#,
            RED,
        ),
        (
            r#"{"messages": [{"role": "user", "content": "<image>What is it?"},
                {"role": "assistant", "content": "Red."}],
                "rejected_messages": [{"role": "user", "content": "<image>What is it?"},
                {"role": "assistant", "content": "Blue."}], "images": ["red.png"]}"#,
            RED,
        ),
        (
            r#"{"query": "<image>What is it?", "response": "Red.", "rejected_response": "Blue.",
                "images": ["red.png"], "history": [["Hi", "Hello."]]}"#,
            "user: Hi | assistant: Hello. | user: {image 8x6}What is it? | assistant: Red. || assistant: Blue.",
        ),
    ]);
}

#[test]
fn trl_has_texts_or_messages_with_a_prompt_or_without() {
    are(&[
        (r#"{"prompt": "What is it?", "chosen": "Red.", "rejected": "Blue.", "images": ["red.png"]}"#, RED),
        (
            r#"{"prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}],
                "chosen": [{"role": "assistant", "content": [{"type": "text", "text": "Red."}]}],
                "rejected": [{"role": "assistant", "content": "Blue."}], "images": ["red.png"]}"#,
            RED,
        ),
        (
            r#"{"chosen": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "Red."}],
                "rejected": [{"role": "user", "content": "<image>What is it?"},
                {"role": "assistant", "content": "Blue."}], "image": "red.png"}"#,
            RED,
        ),
        // As UltraFeedback has them: the prompt, and it once more in both conversations.
        (
            r#"{"prompt": "Hi", "score_chosen": 8.5, "chosen": [{"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello."}], "rejected": [{"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "What?"}]}"#,
            "user: Hi | assistant: Hello. || assistant: What?",
        ),
    ]);
}

#[test]
fn llava_has_answers_beside_a_question_or_a_conversation() {
    are(&[
        (
            r#"{"id": "7", "image": "red.png", "prompt": "<image>\nWhat is it?", "chosen": "Red.", "rejected": "Blue."}"#,
            RED,
        ),
        (r#"{"image": "red.png", "question": "What is it?", "chosen": "Red.", "rejected": "Blue."}"#, RED),
        (
            r#"{"video": "clip.gif", "conversations": [{"from": "human", "value": "<video>\nWhat happens?"},
                {"from": "gpt", "value": "Rain."}, {"from": "human", "value": "Sure?"}],
                "chosen": [{"from": "gpt", "value": "Yes."}], "rejected": [{"from": "gpt", "value": "No."}]}"#,
            "user: {video 8x6 at 0 0.5 1 1.5 until 2}What happens? | assistant: Rain. | user: Sure? | \
             assistant: Yes. || assistant: No.",
        ),
        // The preferred answer may also end the conversation.
        (
            r#"{"image": "red.png", "conversations": [{"from": "human", "value": "<image>\nWhat is it?"},
                {"from": "gpt", "value": "Red."}], "chosen": "Red.", "rejected": "Blue."}"#,
            RED,
        ),
    ]);
}

#[test]
fn openai_has_outputs_of_an_input() {
    are(&[(
        r#"{"input": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "red.png"}},
            {"type": "text", "text": "What is it?"}]}], "tools": [], "parallel_tool_calls": true},
            "preferred_output": [{"role": "assistant", "content": "Red."}],
            "non_preferred_output": [{"role": "assistant", "content": "Blue."}]}"#,
        RED,
    )]);
}

/// Conversations may also go on behind the answer that differs.
#[test]
fn conversations_may_part_before_their_last_answers() {
    let desk = Desk::new();
    let turn = |role: &str, text: &str| format!(r#"{{"role": "{role}", "content": "{text}"}}"#);
    let talk = |answer: &str, more: &str| {
        let turns = [turn("user", "Hi"), turn("assistant", answer), turn("user", more), turn("assistant", "Bye.")];
        format!("[{}]", turns.join(", "))
    };
    let row = |a: &str, b: &str| format!(r#"{{"chosen": {a}, "rejected": {b}}}"#);
    let sample = desk.sample(&row(&talk("Hello.", "Well."), &talk("What?", "Oh."))).expect("a pair");
    assert_eq!(
        words(&sample.of_rejected().expect("a pair")),
        "user: Hi | assistant: What? | user: Oh. | assistant: Bye."
    );
    let bad = desk.sample(&row(&talk("Hello.", "Well."), &talk(" Hello.", "Oh."))).expect_err("other questions");
    assert_eq!(bad.reason, "pair of unlike questions: the conversations part at turn 3");
}

#[test]
fn every_bad_pair_has_its_reason() {
    let desk = Desk::new();
    let beside = |fields: &str| {
        format!(
            r#"{{"messages": [{{"role": "user", "content": "Hi"}}, {{"role": "assistant", "content": "A."}}], {fields}}}"#
        )
    };
    for (row, wanted) in [
        (r#"{"prompt": "Hi", "chosen": "A."}"#.into(), "half a pair: \"chosen\" without a rejected answer"),
        (r#"{"prompt": "Hi", "chosen": "A.", "rejected": ""}"#.into(), "half a pair: \"chosen\" without a rejected"),
        (r#"{"prompt": "Hi", "rejected": "A."}"#.into(), "half a pair: \"rejected\" without a preferred answer"),
        (r#"{"prompt": "Hi", "chosen": "", "rejected": "A."}"#.into(), "half a pair: \"rejected\" without a preferred"),
        (beside(r#""rejected_response": """#), "half a pair: \"rejected_response\" is empty"),
        (beside(r#""rejected_response": " A.\n""#), "equal answers: the preferred answer is the rejected one"),
        (beside(r#""rejected_response": " ""#), "empty answer: turn 2"),
        (
            beside(r#""rejected_response": 7"#),
            "field of a wrong type: \"rejected_response\" is 7, not a text or messages",
        ),
        (beside(r#""rejected": {"role": "user", "content": "B."}"#), "roles do not alternate"),
        (beside(r#""chosen": "C.", "rejected": "B.""#), "roles do not alternate: the preferred answer follows another"),
        (
            beside(
                r#""rejected_messages": [{"role": "user", "content": "Ho"}, {"role": "assistant", "content": "B."}]"#,
            ),
            "pair of unlike questions: the conversations part at turn 1",
        ),
        (
            beside(
                r#""rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "A."},
                {"role": "user", "content": "Ho"}, {"role": "assistant", "content": "B."}]"#,
            ),
            "pair of unlike questions: one of the conversations ends after turn 2",
        ),
        (
            r#"{"prompt": [{"role": "user", "content": [{"type": "image", "image": "red.png"}]}], "chosen": "A.",
                "rejected": [{"role": "user", "content": [{"type": "image", "image": "blue.png"}]},
                {"role": "assistant", "content": "B."}]}"#
                .into(),
            "pair of unlike questions: the conversations show other media",
        ),
        (beside(r#""rejected_response": "B.", "rejected_images": ["red.png"]"#), "not supported: \"rejected_images\""),
        (beside(r#""rejected_response": "B.", "stream": true"#), "not supported: pairs of preferences in streams"),
        (r#"{"chosen": "A.", "rejected": "B."}"#.into(), "no conversation: the fields are chosen, rejected"),
        (
            r#"{"input": {"messages": [{"role": "user", "content": "Hi"}], "tools": [{"type": "function"}]},
                "preferred_output": "A.", "non_preferred_output": "B."}"#
                .into(),
            "not supported: \"tools\"",
        ),
        (
            r#"{"input": {"text": "Hi"}, "preferred_output": "A.", "non_preferred_output": "B."}"#.into(),
            "field of a wrong type: \"input\" is an object, not an object with messages",
        ),
    ] {
        let row: String = row;
        let bad = desk.sample(&row).expect_err(&row);
        assert!(bad.reason.starts_with(wanted), "{row}\n{}\nwanted {wanted}", bad.reason);
    }
}

#[test]
fn a_row_that_is_no_pair_has_no_rejected_answer() {
    let sample = Desk::new().sample(r#"{"query": "a", "response": "b", "rejected": null}"#);
    assert_eq!(sample.expect("a sample").rejected, None);
}
