//! The engine with a model of plain arithmetic.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use zoetrope_models::contract::{MediaKind, PlanOptions, Prompt, Role, VideoLanguageModel};
use zoetrope_models::parts::cache::Memory;

use crate::fake::{FakeModel, picture, video};
use crate::*;

fn text(text: &str) -> Piece {
    Piece::Text(text.into())
}

fn medium(name: &str, source: InMemory) -> Piece {
    Piece::Media(Input::Source(name.into(), Box::new(source)))
}

fn ask(model: &FakeModel, pieces: Vec<Piece>, options: &Options) -> Answer {
    Session::new(model, Limits::default()).ask(pieces, options, &mut ignore).expect("an answer")
}

fn refused(model: &FakeModel, limits: Limits, pieces: Vec<Piece>, options: &Options) -> String {
    Session::new(model, limits).ask(pieces, options, &mut ignore).expect_err("refused").to_string()
}

fn short(max_new_tokens: usize) -> Options {
    Options { max_new_tokens, ..Options::default() }
}

#[test]
fn reading_in_chunks_equals_one_pass_without_a_cache() {
    let model = FakeModel::new();
    let question: String = "what is it ".repeat(150);
    let (mut prompt, mut tokens, mut logits) = (Prompt::default(), Vec::new(), Vec::new());
    let mut watch = |event: Event<'_>| {
        match event {
            Event::Prompt(p) => prompt = p.clone(),
            Event::Visual { tokens: visual, .. } => tokens.push(visual.tokens.clone()),
            Event::Logits(l) => logits.push(l.to_vec()),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let mut session = Session::new(&model, Limits::default());
    let pieces = vec![medium("v", video(&[1, 2, 3])), text(&question), medium("p", picture(9))];
    let answer = session.ask(pieces, &short(5), &mut watch).expect("an answer");
    assert_eq!(answer.finish_reason, FinishReason::Length);
    assert!(prompt.ids.len() > 3 * CHUNK_ROWS, "the prompt must need several chunks");
    assert_eq!(model.largest_step.load(Ordering::SeqCst), CHUNK_ROWS);

    let visual = candle_core::Tensor::cat(&tokens, 0).expect("tokens");
    prompt.ids.extend(&answer.ids);
    let x_td = model.embed(&prompt, Some(&visual)).expect("rows");
    let length = prompt.ids.len();
    let rows: Vec<usize> = (length - 6..length - 1).collect();
    let whole = model.step(&x_td, &mut Memory::Packed(&[length]), &rows).expect("logits");
    assert_eq!(whole.to_vec2::<f32>().expect("numbers"), logits);
}

#[test]
fn the_parts_of_a_streamed_answer_are_the_answer() {
    let said = "the éé cat ? a dog.";
    let model = FakeModel::saying(said);
    let mut streamed = String::new();
    let mut watch = |event: Event<'_>| {
        if let Event::Text(piece) = event {
            streamed.push_str(piece);
        }
        ControlFlow::Continue(())
    };
    let answer =
        Session::new(&model, Limits::default()).ask(vec![text("q")], &short(99), &mut watch).expect("an answer");
    assert_eq!((answer.text.as_str(), streamed.as_str()), (said, said));
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert_eq!(answer.tokens.generated, answer.ids.len());
    assert_eq!(answer.ids.last(), Some(&crate::fake::END));
}

#[test]
fn a_stop_string_across_tokens_ends_the_answer_before_it() {
    let model = FakeModel::saying("one two end three");
    let options = Options { stops: vec!["end".into(), "zz".into()], ..short(99) };
    let answer = ask(&model, vec![text("q")], &options);
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("one two ", FinishReason::Stop));
    let options = Options { stops: vec!["threet".into()], ..short(99) };
    let answer = ask(&model, vec![text("q")], &options);
    assert_eq!(answer.text, "one two end three", "text held back for a stop string that never came");
}

#[test]
fn a_full_budget_ends_with_length_and_shows_held_text() {
    let model = FakeModel::saying("one two");
    let options = Options { stops: vec!["one two three".into()], ..short(5) };
    let answer = ask(&model, vec![text("q")], &options);
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("one t", FinishReason::Length));
    let answer = ask(&model, vec![text("q")], &short(0));
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("", FinishReason::Length));
}

#[test]
fn an_answer_names_its_frames_and_its_tokens_by_modality() {
    let model = FakeModel::new();
    let pieces = vec![medium("clip", video(&[5, 5, 6])), medium("photo", picture(5)), text("abc")];
    let answer = ask(&model, pieces, &short(3));
    let clip = &answer.media[0];
    assert_eq!((clip.name.as_str(), clip.kind, clip.tokens_before, clip.tokens), ("clip", MediaKind::Video, 12, 9));
    let kept: Vec<usize> = clip.frames.iter().map(|frame| frame.tokens).collect();
    assert_eq!(kept, [4, 1, 4], "the second frame repeats the first");
    assert_eq!(clip.frames[2].time, 2.0);
    let tokens = answer.tokens;
    assert_eq!((tokens.video, tokens.image, tokens.text, tokens.prompt), (9, 4, 6, 19));
    assert_eq!((tokens.generated, tokens.reused), (3, 0));
}

#[test]
fn a_second_turn_reuses_frames_and_rows_and_answers_as_a_fresh_session() {
    let model = FakeModel::new();
    let mut session = Session::new(&model, Limits::default());
    let first = vec![medium("clip", video(&[1, 2, 3, 4])), text("first question")];
    let one = session.ask(first, &short(6), &mut ignore).expect("first");
    let stepped = model.rows_stepped.load(Ordering::SeqCst);
    let two = session.ask(vec![medium("p", picture(7)), text("second")], &short(6), &mut ignore).expect("second");
    assert_eq!(model.frames_seen.load(Ordering::SeqCst), 5, "the clip is not encoded again");
    assert!(two.tokens.reused >= one.tokens.prompt, "{:?}", two.tokens);
    let new_rows = model.rows_stepped.load(Ordering::SeqCst) - stepped;
    assert_eq!(new_rows, two.tokens.prompt - two.tokens.reused + 5, "reused rows are not computed again");

    let mut fresh = Session::new(&model, Limits::default());
    fresh.push(Role::User, vec![medium("clip", video(&[1, 2, 3, 4])), text("first question")]).expect("push");
    fresh.push(Role::Assistant, vec![text(&one.text)]).expect("push");
    let again = fresh.ask(vec![medium("p", picture(7)), text("second")], &short(6), &mut ignore).expect("again");
    assert_eq!((again.text, again.ids), (two.text, two.ids));
    assert_eq!(again.tokens.reused, 0);
}

#[test]
fn a_failed_or_cancelled_turn_leaves_the_conversation_as_it_was() {
    let model = FakeModel::new();
    let mut session = Session::new(&model, Limits::default());
    session.ask(vec![medium("a", picture(1)), text("one")], &short(4), &mut ignore).expect("first");
    let messages = session.messages().to_vec();

    let error = session.ask(vec![medium("none", video(&[])), text("two")], &short(4), &mut ignore);
    assert!(error.expect_err("no frames").to_string().starts_with("none: no frame"), "the name of the clip");
    assert_eq!(session.messages(), messages);

    let mut when_read = |event: Event<'_>| match event {
        Event::Prefill { done, total } if done == total => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let answer = session.ask(vec![medium("b", picture(2)), text("two")], &short(4), &mut when_read).expect("cancelled");
    assert_eq!((answer.finish_reason, answer.text.as_str()), (FinishReason::Cancelled, ""));
    assert_eq!(session.messages(), messages);

    // Another picture at the same place must not be taken for the cancelled one.
    let next = session.ask(vec![medium("c", picture(3)), text("two")], &short(4), &mut ignore).expect("third");
    let mut fresh = Session::new(&model, Limits::default());
    fresh.push(Role::User, vec![medium("a", picture(1)), text("one")]).expect("push");
    fresh.messages_for_test().push(messages[1].clone());
    let want = fresh.ask(vec![medium("c", picture(3)), text("two")], &short(4), &mut ignore).expect("fresh");
    assert_eq!(next.ids, want.ids);
}

#[test]
fn cancelling_gives_the_answer_so_far() {
    let model = FakeModel::saying("one two three");
    let mut seen = String::new();
    let mut after_two = |event: Event<'_>| {
        if let Event::Text(piece) = event {
            seen.push_str(piece);
        }
        if seen == "one two" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut session = Session::new(&model, Limits::default());
    let answer = session.ask(vec![text("q")], &short(99), &mut after_two).expect("so far");
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("one two", FinishReason::Cancelled));
    assert_eq!(session.messages().len(), 2, "the partial answer stays in the conversation");

    let options = short(99);
    options.cancel.cancel();
    let answer = ask(&model, vec![medium("v", video(&[1, 2])), text("q")], &options);
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("", FinishReason::Cancelled));
    assert_eq!(model.frames_seen.load(Ordering::SeqCst), 0, "a flag thrown early stops before the encoder");
}

#[test]
fn limits_are_checked_before_the_work_and_name_both_numbers() {
    let model = FakeModel::new();
    let clip = || vec![medium("v", video(&[1, 2, 3])), text("abc")];
    let limits = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        limits
    };
    let says = |change, pieces, options: &Options| refused(&model, limits(change), pieces, options);
    assert_eq!(says(|l| l.visual_tokens = 11, clip(), &short(4)), "visual tokens: 12 is more than the limit of 11");
    assert_eq!(model.frames_seen.load(Ordering::SeqCst), 0);
    assert_eq!(says(|l| l.prompt_tokens = 17, clip(), &short(4)), "prompt tokens: 18 is more than the limit of 17");
    assert_eq!(
        says(|l| l.cache_bytes = 351, clip(), &short(4)),
        "bytes of keys and values: 352 is more than the limit of 351"
    );
    assert_eq!(says(|l| l.answer_tokens = 3, clip(), &short(4)), "tokens of the answer: 4 is more than the limit of 3");
    assert_eq!(
        says(|l| l.media = 0, clip(), &short(4)),
        "pictures and videos of a conversation: 1 is more than the limit of 0"
    );
    assert_eq!(
        says(|_| (), vec![text(&"a".repeat(200_000))], &short(4)),
        "characters of a message: 200000 is more than the limit of 100000"
    );
    assert_eq!(
        says(|l| l.wall_time = Duration::ZERO, clip(), &short(4)),
        "seconds of wall time: 0 is more than the limit of 0"
    );
}

#[test]
fn the_models_positions_bound_prompt_and_answer() {
    let mut model = FakeModel::new();
    model.max_positions = 10;
    let answer = ask(&model, vec![text("abc")], &short(99));
    assert_eq!((answer.tokens.prompt, answer.tokens.generated), (6, 4));
    assert_eq!(answer.finish_reason, FinishReason::Length);
    let error = refused(&model, Limits::default(), vec![text("abcdefgh")], &short(99));
    assert_eq!(error, "prompt tokens: 11 is more than the limit of 10");
}

#[test]
fn the_wall_time_ends_an_answer_with_what_there_is() {
    let model = FakeModel::saying("one two three");
    let limits = Limits { wall_time: Duration::from_millis(300), ..Limits::default() };
    let mut slow = |event: Event<'_>| {
        if let Event::Text(_) = event {
            std::thread::sleep(Duration::from_millis(120));
        }
        ControlFlow::Continue(())
    };
    let answer = Session::new(&model, limits).ask(vec![text("q")], &short(99), &mut slow).expect("so far");
    assert_eq!(answer.finish_reason, FinishReason::Time);
    assert!("one two three".starts_with(&answer.text) && !answer.text.is_empty() && answer.text.len() < 8);
}

#[test]
fn a_seed_fixes_a_sampled_answer() {
    let model = FakeModel::new();
    let sampled = |seed| {
        let sampling = Sampling { temperature: 2.0, top_p: Some(0.95), seed, ..Sampling::default() };
        ask(&model, vec![text("abc")], &Options { sampling, ..short(40) }).ids
    };
    assert_eq!(sampled(1), sampled(1));
    assert_ne!(sampled(1), sampled(2));
}

#[test]
fn a_strong_repetition_penalty_never_repeats() {
    let model = FakeModel::saying("aaaaaaaaaaaaa");
    let plain = ask(&model, vec![text("b")], &short(8)).text;
    assert_eq!(plain, "aaaaaaaa");
    let sampling = Sampling { repetition_penalty: 1e6, ..Sampling::default() };
    let answer = ask(&model, vec![text("b")], &Options { sampling, ..short(6) });
    let mut ids = answer.ids.clone();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), answer.ids.len(), "{:?}", answer.ids);
}

#[test]
fn long_clips_go_through_the_encoder_in_bounded_runs() {
    let model = FakeModel::new();
    let (mut runs, mut decoded, mut encoded) = (Vec::new(), Vec::new(), Vec::new());
    let mut watch = |event: Event<'_>| {
        match event {
            Event::Patches { patches, .. } => runs.push(patches.frames),
            Event::Decoding { done, total } => decoded.push((done, total)),
            Event::Encoding { done, total } => encoded.push((done, total)),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let values: Vec<u8> = (0..600).map(|n| (n % 200) as u8).collect();
    let pieces = vec![medium("v", video(&values)), medium("p", picture(1)), text("q")];
    Session::new(&model, Limits::default()).ask(pieces, &short(1), &mut watch).expect("an answer");
    let most = CHUNK_PATCHES / 16;
    let want: Vec<usize> = (0..600).step_by(most).map(|first| most.min(600 - first)).chain([1]).collect();
    assert!(want.len() > 3, "the clip must need several runs");
    assert_eq!(runs, want, "{CHUNK_PATCHES} patches of 16 a frame");
    assert_eq!(decoded.len(), 601);
    assert_eq!((decoded.last(), encoded.last()), (Some(&(601, 601)), Some(&(601, 601))));
}

#[test]
fn options_of_the_plan_reach_the_model() {
    let model = FakeModel::new();
    let plan = PlanOptions { max_frames: Some(2), ..PlanOptions::default() };
    let answer = ask(&model, vec![medium("v", video(&[1, 2, 3])), text("q")], &Options { plan, ..short(1) });
    assert_eq!(answer.media[0].frames.len(), 2);
}

#[test]
fn an_answer_is_one_json_object_with_the_published_names() {
    let model = FakeModel::saying("yes");
    let answer = ask(&model, vec![medium("v", video(&[1])), text("q")], &short(9));
    let json = serde_json::to_value(&answer).expect("json");
    assert_eq!(json["finish_reason"], "stop");
    assert_eq!(json["media"][0]["kind"], "video");
    assert_eq!(json["tokens"]["video"], 4);
    assert!(json["timings"]["total"].as_f64() > Some(0.0));
}

/// A source that cannot give some of its frames.
struct Damaged(InMemory, Vec<usize>);

impl MediaSource for Damaged {
    fn source(&self) -> zoetrope_models::contract::Source {
        self.0.source()
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        let left: Vec<usize> = indices.iter().copied().filter(|index| !self.1.contains(index)).collect();
        self.0.frames(&left)
    }
}

#[test]
fn frames_that_a_damaged_source_leaves_out_are_counted_and_the_others_keep_their_times() {
    let model = FakeModel::new();
    let ask = |lost: Vec<usize>| {
        let source = Box::new(Damaged(video(&[1, 2, 3, 4]), lost));
        let pieces = vec![Piece::Media(Input::Source("broken".into(), source)), text("q")];
        Session::new(&model, Limits::default()).ask(pieces, &short(1), &mut ignore)
    };
    let clip = &ask(vec![0, 2]).expect("an answer").media[0];
    assert_eq!((clip.lost, clip.frames.len()), (2, 2));
    assert_eq!(clip.frames.iter().map(|frame| frame.time).collect::<Vec<_>>(), [1.0, 3.0]);
    let error = ask(vec![0, 1, 2, 3]).expect_err("nothing left").to_string();
    assert_eq!(error, "broken: none of the 4 frames that were asked for can be decoded");
}

#[test]
fn a_dry_run_counts_what_the_request_would_read() {
    let model = FakeModel::new();
    let pieces = || vec![medium("clip", video(&[5, 5, 6])), medium("photo", picture(5)), text("abc")];
    let plan = |now| {
        let session = Session::new(&model, Limits::default());
        session.dry_run(pieces(), &short(3), now, &mut ignore).expect("a dry run")
    };
    let (headers, pixels) = (plan(false), plan(true));
    assert_eq!((headers.tokens.video, headers.tokens.prompt), (12, 22));
    assert_eq!(model.frames_seen.load(Ordering::SeqCst), 0, "nothing goes through the encoder");
    let answer = ask(&model, pieces(), &short(3));
    assert_eq!(pixels.tokens, TokenCounts { generated: 0, ..answer.tokens });
    assert_eq!(pixels.kept, [vec![4, 1, 4], vec![4]]);
    // 3 frames of 1x1x3 bytes; 3 x 16 patches of one f32; 16 tokens of 2 f32; 22 + 3 positions of 16 bytes.
    let memory = headers.memory;
    assert_eq!((memory.frames, memory.patches, memory.visual_tokens, memory.cache), (9, 192, 128, 400));
    assert_eq!(memory.total, 729);
}

#[test]
fn a_dry_run_of_a_later_turn_counts_the_whole_conversation() {
    let model = FakeModel::new();
    let talk = || {
        let mut session = Session::new(&model, Limits::default());
        session.ask(vec![medium("clip", video(&[5, 5])), text("one")], &short(2), &mut ignore).expect("an answer");
        session
    };
    let next = || vec![medium("photo", picture(9)), text("two")];
    let dry = talk().dry_run(next(), &short(2), false, &mut ignore).expect("a dry run");
    let answer = talk().ask(next(), &short(2), &mut ignore).expect("an answer");
    assert_eq!(dry.tokens, TokenCounts { generated: 0, reused: 0, ..answer.tokens });
    assert_eq!(dry.names, ["clip", "photo"]);
}
