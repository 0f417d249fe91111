//! Prompts and the words that the Q-Former hears.

use super::*;

#[test]
fn prompts_are_those_of_the_authors_programs() {
    let (model, goldens) = (toy(), json());
    for name in ["image", "video", "film", "part", "chat"] {
        let run = case(name, &goldens).run(&model);
        let want = goldens["cases"][name]["ids"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap());
        // In short mode one placeholder stands for all tokens; a film has a placeholder a token.
        let tokens = run.visual.dim(0).unwrap();
        let shown = if matches!(name, "film" | "part") { 1 } else { tokens };
        let want: Vec<i64> = want.flat_map(|id| std::iter::repeat_n(id, if id < 0 { shown } else { 1 })).collect();
        assert_eq!(ids(&run.prompt), want, "{name}: {}", goldens["cases"][name]["prompt"]);
    }
}

#[test]
fn the_qformer_hears_the_question_as_berts_tokenizer_cuts_it() {
    let (model, goldens) = (toy(), json());
    for case in goldens["words"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let want: Vec<u32> = case["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        let ours = model.words.encode(text, LONGEST_QUESTION, TruncationSide::Left).unwrap();
        assert_eq!(ours, want, "{text}");
    }
}

#[test]
fn only_the_newest_question_shows_what_was_shown_last_and_only_it_is_heard() {
    let said = |role, text: &str| Message::text(role, text);
    let show = |media: usize, text: &str| {
        let parts = vec![MessagePart::Text(text.to_string()), MessagePart::Media(media)];
        Message { role: Role::User, parts }
    };
    let reply = || said(Role::Assistant, "Yes.");
    let places = |messages: &[Message], media: usize| {
        let all = prompt::placements(messages, media).unwrap().into_iter();
        all.map(|one| (one.media, one.instruction.unwrap())).collect::<Vec<_>>()
    };
    let own = |all: &[(usize, &str)]| all.iter().map(|(media, text)| (*media, text.to_string())).collect::<Vec<_>>();
    let mut messages = vec![show(0, "A?"), reply(), said(Role::User, "B?"), reply(), said(Role::User, "C?\nD?")];
    assert_eq!(places(&messages, 1), own(&[(0, "C?\nD?")]));
    messages.truncate(3);
    messages.extend([reply(), show(1, "E?")]);
    assert_eq!(places(&messages, 2), own(&[(0, "A?"), (1, "E?")]));
    messages.extend([reply(), said(Role::User, "F?")]);
    assert_eq!(places(&messages, 2), own(&[(0, "A?"), (1, "F?")]));
    // To learn from: each question shows its picture again, as in the authors' training.
    messages.push(reply());
    assert_eq!(places(&messages, 2), own(&[(0, "A?"), (0, "B?"), (1, "E?"), (1, "F?")]));
    assert!(places(&[said(Role::User, "?")], 0).is_empty());
    assert!(prompt::placements(&[said(Role::User, "?")], 1).is_err());
}

#[test]
fn a_system_message_takes_the_place_of_the_templates() {
    let (model, goldens) = (toy(), json());
    let mut case = case("image", &goldens);
    case.messages.insert(0, Message::text(Role::System, "Be short."));
    let run = case.run(&model);
    let text: Vec<u32> = ids(&run.prompt).into_iter().filter_map(|id| u32::try_from(id).ok()).collect();
    let text = model.processor.tokenizer().decode(&text, false).unwrap();
    assert!(text.starts_with("<s> Be short. USER: ") && text.ends_with("What is this? ASSISTANT:"), "{text}");
}
