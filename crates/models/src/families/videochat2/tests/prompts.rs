//! Prompts against those of the authors' notebooks.

use super::*;
use crate::contract::prompt::{GenerationPrompt, Message, MessagePart, PromptToken, Role};
use crate::contract::settings::Settings;

const MODELS: [(&str, &str); 3] =
    [("vicuna", "VideoChat2_it_vicuna"), ("mistral", "VideoChat2_it_mistral"), ("phi", "VideoChat2_it_phi")];

fn asks(text: &str) -> Message {
    Message { role: Role::User, parts: vec![MessagePart::Media(0), MessagePart::Text(text.to_string())] }
}

fn text(role: Role, text: &str) -> Message {
    Message::text(role, text)
}

/// Ids before and after the visual tokens of a prompt about one video of frames at 0.5, 2.5 and 10 seconds.
fn parts(
    processor: &VideoChat2Processor,
    messages: &[Message],
    settings: Settings,
    begin: &str,
) -> (Vec<Vec<u32>>, usize) {
    let options = PlanOptions { settings, ..PlanOptions::default() };
    let media = clip((80, 50), 30, 2);
    let plan = processor.plan(&[], std::slice::from_ref(&media), &options).unwrap().remove(0);
    let frames = [(1, 0.5), (5, 2.5), (20, 10.0)].map(|(index, time)| media.planned_frame(index, time)).to_vec();
    let plan = MediaPlan { frames, ..plan };
    let spans = vec![processor.visual_spans(&plan, None)];
    let prompt = processor.prompt(messages, &[plan], &spans, GenerationPrompt::Reply(begin)).unwrap();
    let mut all = vec![Vec::new()];
    let mut visual = 0;
    for token in &prompt.tokens {
        match token {
            PromptToken::Text(id) => all.last_mut().unwrap().push(*id),
            PromptToken::Visual { row, .. } => {
                if *row == 0 {
                    all.push(Vec::new());
                }
                visual += 1;
            }
        }
    }
    (all, visual)
}

fn check(case: &str, messages: &[Message], settings: &Settings, begin: &str) {
    let goldens = goldens();
    for (name, class) in MODELS {
        let processor = processor_of(&plain_config(class));
        let want = &goldens["prompts"][format!("{name}.{case}")];
        let theirs: Vec<Vec<u32>> = serde_json::from_value(want["parts"].clone()).unwrap();
        let (ours, visual) = parts(&processor, messages, settings.clone(), begin);
        let told = |parts: &[Vec<u32>]| {
            parts.iter().map(|ids| processor.tokenizer().decode(ids, false).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(ours, theirs, "{name}, {case}: {:?}, not {:?}", told(&ours), told(&theirs));
        assert_eq!(visual, processor.config.tokens(), "{name}, {case}");
    }
}

#[test]
fn a_question_without_a_system_text() {
    check("chat", &[asks("What moves?")], &Settings::default(), "");
}

#[test]
fn mvbench_with_the_beginning_of_the_reply_and_the_system_text_twice_for_vicuna() {
    let goldens = goldens();
    let (system, question) = (goldens["system"].as_str().unwrap(), goldens["prompts"]["question"].as_str().unwrap());
    let messages = [text(Role::System, system), asks(question)];
    check("mvbench", &messages, &Settings::default(), "Best option:(");
    check("mvbench_repeated", &messages, &Settings::default().with("repeat_system", true), "Best option:(");
    // The Q-Former hears the system text, not the question.
    let processor = processor_of(&toy_config());
    let heard = processor.placements(&messages, 1).unwrap().remove(0).instruction;
    assert_eq!(heard.as_deref(), Some(system));
    assert_eq!(processor.placements(&messages[1..], 1).unwrap()[0].instruction, None);
}

#[test]
fn a_second_turn() {
    let messages = [asks("What moves?"), text(Role::Assistant, "A box."), text(Role::User, "Which one?")];
    check("turns", &messages, &Settings::default(), "");
}

#[test]
fn the_times_of_frames_in_words() {
    check("times", &[asks("What moves?")], &Settings::default().with("times", true), "");
}

/// Several pictures and videos: one placeholder each, in order, each in its own marks.
#[test]
fn several_media_and_words_between_them() {
    let parts = |texts: [&str; 2]| {
        let [before, after] = texts.map(|text| MessagePart::Text(text.to_string()));
        vec![Message { role: Role::User, parts: vec![MessagePart::Media(0), before, MessagePart::Media(1), after] }]
    };
    let written = |class: &str| {
        let processor = processor_of(&plain_config(class));
        let media = [MediaMetadata::picture((40, 40)), clip((40, 40), 8, 1)];
        let plans = processor.plan(&[], &media, &PlanOptions::default()).unwrap();
        let spans: Vec<_> = plans.iter().map(|plan| processor.visual_spans(plan, None)).collect();
        let prompt = processor.prompt(&parts(["One.", "Two?"]), &plans, &spans, GenerationPrompt::Reply("")).unwrap();
        let piece = |token: &PromptToken| match token {
            PromptToken::Text(id) => processor.tokenizer().decode(&[*id], false).unwrap(),
            PromptToken::Visual { placement, row: 0 } => format!("[{placement}]"),
            PromptToken::Visual { .. } => String::new(),
        };
        prompt.tokens.iter().map(piece).collect::<String>()
    };
    assert_eq!(
        written("VideoChat2_it_vicuna"),
        "<s>###Human: <Image>[0]</Image>\n###Human: One.\n###Human: <Video>[1]</Video>\n###Human: Two?\n###Assistant:"
    );
    assert_eq!(
        written("VideoChat2_it_mistral"),
        "<s>[INST] <Image>[0]</Image> [/INST] [INST] One. [/INST] [INST] <Video>[1]</Video> [/INST] [INST] Two? [/INST]"
    );
    assert_eq!(
        written("VideoChat2_it_phi"),
        "<s><|user|>\n<Image>[0]</Image> One.<Video>[1]</Video> Two?<|end|>\n<|assistant|>"
    );
}

/// Cleaned to letters, digits and spaces; a line that repeats the one before is left out.
#[test]
fn subtitles_stand_before_the_video() {
    use crate::contract::media_plan::Caption;
    let processor = processor_of(&plain_config("VideoChat2_it_mistral"));
    let line = |start: f64, text: &str| Caption { start, end: start + 1.0, text: text.to_string() };
    let mut media = clip((40, 40), 60, 2);
    media.captions = vec![line(0.0, "Hello, you!"), line(1.0, "Hello, you!\nIt's </s> 5."), line(2.0, "...")];
    let plans = processor.plan(&[], &[media], &PlanOptions::default()).unwrap();
    let spans = vec![processor.visual_spans(&plans[0], None)];
    let prompt = processor.prompt(&[asks("What?")], &plans, &spans, GenerationPrompt::Reply("")).unwrap();
    let ids: Vec<u32> = prompt
        .tokens
        .iter()
        .filter_map(|token| if let PromptToken::Text(id) = token { Some(*id) } else { None })
        .collect();
    let text = processor.tokenizer().decode(&ids, false).unwrap();
    let want = "<s>[INST] This video's subtitles are listed below: Hello you Its s 5\n<Video></Video> [/INST] ";
    assert!(text.starts_with(want), "{text}");
}

#[test]
fn what_ends_a_reply() {
    let stops = |class: &str| processor_of(&plain_config(class)).info().stop.clone();
    assert_eq!(stops("VideoChat2_it_vicuna").texts, ["###"]);
    let tokenizer = processor_of(&toy_config());
    let id = |token: &str| tokenizer.tokenizer().id(token).unwrap();
    assert!(stops("VideoChat2_it_mistral").ids.contains(&id("</s>")));
    assert!(stops("VideoChat2_it_phi").ids.contains(&id("<|end|>")));
}
