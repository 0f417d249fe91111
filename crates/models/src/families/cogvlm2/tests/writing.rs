//! How conversations are written: the authors' templates, frame numbers and position ids.

use super::*;
use crate::contract::media_plan::MediaPlan;
use crate::contract::position::Position;
use crate::contract::prompt::GenerationPrompt;

/// `frames` frames at one a second of a model with `per_frame` visual tokens a frame, as the token types of the model
/// page: chat puts a number after each frame.
fn types(frames: usize, per_frame: usize, numbered: bool, words: usize) -> Vec<PromptToken> {
    let mut tokens = vec![PromptToken::Text(0)];
    for frame in 0..frames {
        let rows = frame * per_frame..(frame + 1) * per_frame;
        tokens.extend(rows.map(|row| PromptToken::Visual { placement: 0, row: row as u32 }));
        tokens.extend(numbered.then_some(PromptToken::Text(1)));
    }
    tokens.extend(vec![PromptToken::Text(2); words]);
    tokens
}

fn ids(positions: &[Position]) -> Vec<u32> {
    positions.iter().map(|position| position.id).collect()
}

/// Begin 1, 64 inner tokens all 2, end 3, number 4; frame 23 at 93 to 96, the question from 97 on.
#[test]
fn chat_positions_are_four_a_frame() {
    let positions = ids(&prompt::positions(&types(24, 66, true, 3), false));
    assert_eq!(positions.len(), 1 + 24 * 67 + 3);
    assert_eq!(positions[..3], [0, 1, 2]);
    assert!(positions[2..66].iter().all(|id| *id == 2));
    assert_eq!(positions[66..70], [3, 4, 5, 6]);
    let last = 1 + 23 * 67;
    assert_eq!((positions[last], positions[last + 1], positions[last + 65], positions[last + 66]), (93, 94, 95, 96));
    assert_eq!(positions[last + 67..], [97, 98, 99]);
}

/// All frames are one run: begin 1, all 1582 inner tokens 2, the last 3, the question from 4 on.
#[test]
fn base_positions_are_three_for_the_whole_video() {
    let positions = ids(&prompt::positions(&types(24, 66, false, 2), false));
    assert_eq!(positions.len(), 1587);
    assert_eq!(positions[..2], [0, 1]);
    assert_eq!(positions[2..1584].iter().filter(|id| **id == 2).count(), 1582);
    assert_eq!(positions[1584..], [3, 4, 5]);
}

/// A visual token goes to the visual expert when a visual token follows; the end mark goes to that of text.
#[test]
fn the_end_mark_goes_through_the_matrices_of_text() {
    let positions = prompt::positions(&types(1, 2306, false, 2), true);
    let experts: Vec<u8> = positions.iter().map(|position| position.expert).collect();
    assert_eq!((experts[0], experts[1], experts[2305], experts[2306], experts[2307]), (0, 1, 1, 0, 0));
    assert_eq!(experts.iter().filter(|expert| **expert == 1).count(), 2305);
    assert_eq!((positions[2306].id, positions[2308].id), (3, 5));
    assert!(prompt::positions(&types(1, 66, true, 2), false).iter().all(|position| position.expert == 0));
}

/// At the ends of a sequence a visual token counts as begin or end.
#[test]
fn ends_of_a_sequence_are_marks() {
    let visual = |row: u32| PromptToken::Visual { placement: 0, row };
    assert_eq!(ids(&prompt::positions(&(0..5).map(visual).collect::<Vec<_>>(), true)), [0, 1, 1, 1, 2]);
    assert_eq!(ids(&prompt::positions(&[visual(0)], true)), [0]);
    assert!(prompt::positions(&[], true).is_empty());
}

/// Plans of a video of `frames` frames, one a second.
fn plans(kind: &str, frames: i64, options: &PlanOptions) -> Vec<MediaPlan> {
    let times: Vec<Time> = (0..frames).map(|n| Time::new(n, 1)).collect();
    let media = MediaMetadata::video((64, 64), times, frames as f64);
    processor(kind).plan(&[], &[media], options).unwrap()
}

/// The prompt as text, a visual token as `*` and special tokens by their names.
fn text_of(kind: &str, messages: &[Message], plans: &[MediaPlan], end: GenerationPrompt<'_>) -> (String, Prompt) {
    let processor = processor(kind);
    let spans: Vec<_> = plans.iter().map(|plan| processor.visual_spans(plan, None)).collect();
    let prompt = processor.prompt(messages, plans, &spans, end).unwrap();
    let mut text = String::new();
    let mut run: Vec<u32> = Vec::new();
    for token in &prompt.tokens {
        match token {
            PromptToken::Text(id) => run.push(*id),
            PromptToken::Visual { .. } => {
                text += &processor.tokenizer().decode(&std::mem::take(&mut run), false).unwrap();
                text.push('*');
            }
        }
    }
    (text + &processor.tokenizer().decode(&run, false).unwrap(), prompt)
}

fn ask(media: usize, text: &str) -> Message {
    let parts = (0..media).map(MessagePart::Media).chain([MessagePart::Text(text.to_string())]).collect();
    Message { role: Role::User, parts }
}

fn reply(text: &str) -> Message {
    Message::text(Role::Assistant, text)
}

const GENERATE: GenerationPrompt<'static> = GenerationPrompt::Reply("");

#[test]
fn chat_writes_the_second_after_each_frame() {
    let plans = plans("video", 3, &PlanOptions::default());
    let (text, _) = text_of("video", &[ask(1, "Who?")], &plans, GENERATE);
    assert_eq!(text, "<|begin_of_text|>******0******1******2Question: Who? Answer:");
}

#[test]
fn frames_are_numbered_with_their_seconds_whatever_the_sampling() {
    let whole = plans("video", 100, &PlanOptions { max_frames: Some(4), ..with("sampling", "whole") });
    let (text, _) = text_of("video", &[ask(1, "Who?")], &whole, GENERATE);
    assert_eq!(text, "<|begin_of_text|>******0******33******66******99Question: Who? Answer:");
    let part = PlanOptions { start: Some(40.0), end: Some(42.0), ..PlanOptions::default() };
    let (text, _) = text_of("video", &[ask(1, "Who?")], &plans("video", 100, &part), GENERATE);
    assert_eq!(text, "<|begin_of_text|>******40******41Question: Who? Answer:");
}

#[test]
fn base_writes_neither_numbers_nor_words_of_its_own() {
    let base = plans("video", 2, &PlanOptions { max_frames: Some(2), ..with("template", "base") });
    let (text, _) = text_of("video", &[ask(1, "The video shows")], &base, GENERATE);
    assert_eq!(text, "<|begin_of_text|>************The video shows");
    let short = plans("video", 2, &PlanOptions { max_frames: Some(2), ..with("template", "vqa") });
    let (text, _) = text_of("video", &[ask(1, "Who?")], &short, GENERATE);
    assert_eq!(text, "<|begin_of_text|>************Question: Who? Short answer:");
}

/// Models that were tuned with ms-swift have the words of `chat` and no numbers: all frames are one run.
#[test]
fn numbers_can_be_left_out() {
    let settings = Settings::default().with("frame_numbers", false);
    let plans = plans("video", 2, &PlanOptions { settings, ..PlanOptions::default() });
    let (text, prompt) = text_of("video", &[ask(1, "Who?")], &plans, GENERATE);
    assert_eq!(text, "<|begin_of_text|>************Question: Who? Answer:");
    assert_eq!(ids(&prompt.positions)[..14], [0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4]);
}

#[test]
fn earlier_turns_are_questions_and_answers_in_lines() {
    let messages = [ask(0, "Who?"), reply("A man."), ask(0, "Where?")];
    for kind in KINDS {
        let (text, _) = text_of(kind, &messages, &[], GENERATE);
        assert_eq!(text, "<|begin_of_text|>Question: Who? Answer: A man.\nQuestion: Where? Answer:");
    }
}

/// A reply to learn is encoded on its own, without a space, and ends with the first stop token.
#[test]
fn the_last_reply_is_learned_with_its_end() {
    let messages = [ask(0, "Who?"), reply("A man."), ask(0, "Where?"), reply("\nHome.")];
    let (text, prompt) = text_of("video", &messages, &[], GenerationPrompt::None);
    let before = "<|begin_of_text|>Question: Who? Answer: A man.\nQuestion: Where? Answer:";
    assert_eq!(text, format!("{before}\nHome.<|end_of_text|>"));
    let learned: Vec<u32> = prompt.targets.iter().map(|at| ids_of(&prompt, 0)[*at]).collect();
    assert_eq!(processor("video").tokenizer().decode(&learned, false).unwrap(), "\nHome.<|end_of_text|>");
}

/// The authors have no system message; ours is the beginning of the question, so that media stay in front of it.
#[test]
fn a_system_message_begins_the_question() {
    let messages = [Message::text(Role::System, "Be brief."), ask(1, "Who?")];
    let (text, _) = text_of("image", &messages, &plans("image", 1, &PlanOptions::default()), GENERATE);
    assert_eq!(text, "<|begin_of_text|>***********Question: Be brief.\nWho? Answer:");
    let (text, _) = text_of("image", &messages[..1], &[], GENERATE);
    assert_eq!(text, "<|begin_of_text|>Question: Be brief.\n Answer:");
}
