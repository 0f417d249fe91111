//! The engine with a model of plain arithmetic.

pub(crate) mod fake;
mod films;
mod kept;
mod replies;
mod service;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use zoetrope_models::contract::media_plan::{MediaKind, MediaMetadata, PlanOptions};
use zoetrope_models::contract::position::Position;
use zoetrope_models::contract::prompt::{Prompt, PromptToken, Role};
use zoetrope_models::contract::{VideoLanguageModel, embed};
use zoetrope_models::kv::KvContext;

use crate::fake::{FakeModel, picture, video};
use crate::*;

fn text(text: &str) -> ContentPart {
    ContentPart::Text(text.into())
}

fn media(name: &str, source: InMemory) -> ContentPart {
    ContentPart::Media(MediaInput::Opened(OpenedMedia::new(name.into(), Arc::new(source))))
}

fn new_session(model: &Arc<FakeModel>, limits: Limits) -> Session {
    Session::new(model.clone(), limits).expect("a session")
}

fn ask(model: &Arc<FakeModel>, content: Vec<ContentPart>, options: &Options) -> Answer {
    new_session(model, Limits::default()).ask(content, options, &mut ignore).expect("an answer")
}

fn refused(model: &Arc<FakeModel>, limits: Limits, content: Vec<ContentPart>, options: &Options) -> String {
    new_session(model, limits).ask(content, options, &mut ignore).expect_err("refused").to_string()
}

fn saying(text: &str) -> Arc<FakeModel> {
    Arc::new(FakeModel::saying(text))
}

fn short(max_new_tokens: usize) -> Options {
    Options { max_new_tokens, ..Options::default() }
}

#[test]
fn reading_in_chunks_equals_one_pass_without_a_cache() {
    let model = Arc::new(FakeModel::new());
    let question: String = "what is it ".repeat(150);
    let (mut prompt, mut visual, mut logits) = (Prompt::default(), Vec::new(), Vec::new());
    let mut handler = |event: &Event| {
        match event {
            Event::Prompt(p) => prompt = p.as_ref().clone(),
            Event::VisualTokens { tokens, .. } => visual.push(tokens.clone()),
            Event::Logits(l) => logits.push(l.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let mut session = new_session(&model, Limits::default());
    let content = vec![media("v", video(&[1, 2, 3])), text(&question), media("p", picture(9))];
    let options = Options { trace: true, ..short(5) };
    let answer = session.ask(content, &options, &mut handler).expect("an answer");
    assert_eq!(answer.finish_reason, FinishReason::Length);
    assert!(prompt.tokens.len() > 3 * CHUNK_ROWS, "the prompt must need several chunks");
    assert_eq!(model.largest_pass.load(Ordering::SeqCst), CHUNK_ROWS);

    prompt.tokens.extend(answer.ids.iter().map(|&id| PromptToken::Text(id)));
    let x_td = embed(model.as_ref(), &prompt.tokens, &visual).expect("rows");
    let length = prompt.tokens.len();
    let positions: Vec<Position> = (0..length as u32).map(Position::text).collect();
    let rows: Vec<usize> = (length - 6..length - 1).collect();
    let whole = model.forward(&x_td, &positions, &mut KvContext::Varlen(&[length]), &rows).expect("logits");
    assert_eq!(whole.to_vec2::<f32>().expect("numbers"), logits);
}

#[test]
fn the_parts_of_a_streamed_answer_are_the_answer() {
    let said = "the éé cat ? a dog.";
    let model = saying(said);
    let mut streamed = String::new();
    let mut watch = |event: &Event| {
        if let Event::Text(piece) = event {
            streamed.push_str(piece);
        }
        ControlFlow::Continue(())
    };
    let answer =
        new_session(&model, Limits::default()).ask(vec![text("q")], &short(99), &mut watch).expect("an answer");
    assert_eq!((answer.text.as_str(), streamed.as_str()), (said, said));
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert_eq!(answer.tokens.generated, answer.ids.len());
    assert_eq!(answer.ids.last(), Some(&crate::fake::END));
}

#[test]
fn a_stop_string_across_tokens_ends_the_answer_before_it() {
    let model = saying("one two end three");
    let options = Options { stop_texts: vec!["end".into(), "zz".into()], ..short(99) };
    let answer = ask(&model, vec![text("q")], &options);
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("one two ", FinishReason::Stop));
    let options = Options { stop_texts: vec!["threet".into()], ..short(99) };
    let answer = ask(&model, vec![text("q")], &options);
    assert_eq!(answer.text, "one two end three", "text held back for a stop string that never came");
}

#[test]
fn a_full_budget_ends_with_length_and_shows_held_text() {
    let model = saying("one two");
    let options = Options { stop_texts: vec!["one two three".into()], ..short(5) };
    let answer = ask(&model, vec![text("q")], &options);
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("one t", FinishReason::Length));
    let answer = ask(&model, vec![text("q")], &short(0));
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("", FinishReason::Length));
}

#[test]
fn an_answer_names_its_frames_and_its_tokens_by_modality() {
    let model = Arc::new(FakeModel::new());
    let pieces = vec![media("clip", video(&[5, 5, 6])), media("photo", picture(5)), text("abc")];
    let answer = ask(&model, pieces, &short(3));
    let clip = &answer.media[0];
    assert_eq!(
        (clip.name.as_str(), clip.kind, clip.tokens_before_pruning, clip.tokens),
        ("clip", MediaKind::Video, 12, 9)
    );
    let kept: Vec<usize> = clip.frames.iter().map(|frame| frame.tokens).collect();
    assert_eq!(kept, [4, 1, 4], "the second frame repeats the first");
    assert_eq!(clip.frames[2].time, 2.0);
    let tokens = answer.tokens;
    assert_eq!((tokens.video, tokens.image, tokens.text, tokens.prompt), (9, 4, 6, 19));
    assert_eq!((tokens.generated, tokens.reused), (3, 0));
}

#[test]
fn a_second_turn_reuses_frames_and_rows_and_answers_as_a_fresh_session() {
    let model = Arc::new(FakeModel::new());
    let mut session = new_session(&model, Limits::default());
    let first = vec![media("clip", video(&[1, 2, 3, 4])), text("first question")];
    let one = session.ask(first, &short(6), &mut ignore).expect("first");
    let stepped = model.rows_computed.load(Ordering::SeqCst);
    let two = session.ask(vec![media("p", picture(7)), text("second")], &short(6), &mut ignore).expect("second");
    assert_eq!(model.frames_seen.load(Ordering::SeqCst), 5, "the clip is not encoded again");
    assert!(two.tokens.reused >= one.tokens.prompt, "{:?}", two.tokens);
    let new_rows = model.rows_computed.load(Ordering::SeqCst) - stepped;
    assert_eq!(new_rows, two.tokens.prompt - two.tokens.reused + 5, "reused rows are not computed again");

    let mut fresh = new_session(&model, Limits::default());
    fresh.push(Role::User, vec![media("clip", video(&[1, 2, 3, 4])), text("first question")]).expect("push");
    fresh.push(Role::Assistant, vec![text(&one.text)]).expect("push");
    let again = fresh.ask(vec![media("p", picture(7)), text("second")], &short(6), &mut ignore).expect("again");
    assert_eq!((again.text, again.ids), (two.text, two.ids));
    assert_eq!(again.tokens.reused, 0);
}

#[test]
fn a_failed_or_cancelled_turn_leaves_the_conversation_as_it_was() {
    let model = Arc::new(FakeModel::new());
    let mut session = new_session(&model, Limits::default());
    session.ask(vec![media("a", picture(1)), text("one")], &short(4), &mut ignore).expect("first");
    let messages = session.messages().to_vec();

    let error = session.ask(vec![media("none", video(&[])), text("two")], &short(4), &mut ignore);
    assert!(error.expect_err("no frames").to_string().starts_with("none: no frame"), "the name of the clip");
    assert_eq!(session.messages(), messages);

    let mut when_read = |event: &Event| match event {
        Event::Prefill { done, total } if done == total => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let answer = session.ask(vec![media("b", picture(2)), text("two")], &short(4), &mut when_read).expect("cancelled");
    assert_eq!((answer.finish_reason, answer.text.as_str()), (FinishReason::Cancelled, ""));
    assert_eq!(session.messages(), messages);

    // Another picture at the same place must not be taken for the cancelled one.
    let next = session.ask(vec![media("c", picture(3)), text("two")], &short(4), &mut ignore).expect("third");
    let mut fresh = new_session(&model, Limits::default());
    fresh.push(Role::User, vec![media("a", picture(1)), text("one")]).expect("push");
    fresh.conversation_for_test().add(messages[1].clone());
    let want = fresh.ask(vec![media("c", picture(3)), text("two")], &short(4), &mut ignore).expect("fresh");
    assert_eq!(next.ids, want.ids);
}

#[test]
fn cancelling_gives_the_answer_so_far() {
    let model = saying("one two three");
    let mut seen = String::new();
    let mut after_two = |event: &Event| {
        if let Event::Text(piece) = event {
            seen.push_str(piece);
        }
        if seen == "one two" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut session = new_session(&model, Limits::default());
    let answer = session.ask(vec![text("q")], &short(99), &mut after_two).expect("so far");
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("one two", FinishReason::Cancelled));
    assert_eq!(session.messages().len(), 2, "the partial answer stays in the conversation");

    let options = short(99);
    options.cancel.cancel();
    let answer = ask(&model, vec![media("v", video(&[1, 2])), text("q")], &options);
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("", FinishReason::Cancelled));
    assert_eq!(model.frames_seen.load(Ordering::SeqCst), 0, "a flag thrown early stops before the encoder");
}

#[test]
fn limits_are_checked_before_the_work_and_name_both_numbers() {
    let model = Arc::new(FakeModel::new());
    let clip = || vec![media("v", video(&[1, 2, 3])), text("abc")];
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
    let model = Arc::new(FakeModel::with_positions(10));
    let answer = ask(&model, vec![text("abc")], &short(99));
    assert_eq!((answer.tokens.prompt, answer.tokens.generated), (6, 4));
    assert_eq!(answer.finish_reason, FinishReason::Length);
    let error = refused(&model, Limits::default(), vec![text("abcdefgh")], &short(99));
    assert_eq!(error, "prompt tokens: 11 is more than the limit of 10");
}

/// Pruning may leave nothing of the frames, but the words stay.
#[test]
fn a_question_without_room_for_its_words_decodes_nothing() {
    let model = Arc::new(FakeModel::with_positions(10));
    let film = vec![media("v", video(&[1, 2, 3])), text("abcdefgh")];
    let error = refused(&model, Limits::default(), film, &short(99));
    assert_eq!(error, "prompt tokens: 11 is more than the limit of 10");
    assert_eq!(model.frames_seen.load(Ordering::SeqCst), 0);
}

#[test]
fn the_wall_time_ends_an_answer_with_what_there_is() {
    let model = saying("one two three");
    let limits = Limits { wall_time: Duration::from_millis(300), ..Limits::default() };
    let mut slow = |event: &Event| {
        if let Event::Text(_) = event {
            std::thread::sleep(Duration::from_millis(120));
        }
        ControlFlow::Continue(())
    };
    let answer = new_session(&model, limits).ask(vec![text("q")], &short(99), &mut slow).expect("so far");
    assert_eq!(answer.finish_reason, FinishReason::Time);
    assert!("one two three".starts_with(&answer.text) && !answer.text.is_empty() && answer.text.len() < 8);
}

#[test]
fn a_seed_fixes_a_sampled_answer() {
    let model = Arc::new(FakeModel::new());
    let sampled = |seed| {
        let sampling = Sampling { temperature: 2.0, top_p: Some(0.95), seed, ..Sampling::default() };
        ask(&model, vec![text("abc")], &Options { sampling, ..short(40) }).ids
    };
    assert_eq!(sampled(1), sampled(1));
    assert_ne!(sampled(1), sampled(2));
}

#[test]
fn a_strong_repetition_penalty_never_repeats() {
    let model = saying("aaaaaaaaaaaaa");
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
    let model = Arc::new(FakeModel::new());
    let (mut runs, mut decoded, mut encoded) = (Vec::new(), Vec::new(), Vec::new());
    let mut handler = |event: &Event| {
        match event {
            Event::Patches { patches, .. } => runs.push(patches.units.len()),
            Event::Decoding { done, total } => decoded.push((*done, *total)),
            Event::Encoding { done, total } => encoded.push((*done, *total)),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let values: Vec<u8> = (0..600).map(|n| (n % 200) as u8).collect();
    let content = vec![media("v", video(&values)), media("p", picture(1)), text("q")];
    let options = Options { trace: true, ..short(1) };
    new_session(&model, Limits::default()).ask(content, &options, &mut handler).expect("an answer");
    let most = CHUNK_PATCHES / 16;
    let want: Vec<usize> = (0..600).step_by(most).map(|first| most.min(600 - first)).chain([1]).collect();
    assert!(want.len() > 3, "the clip must need several runs");
    assert_eq!(runs, want, "{CHUNK_PATCHES} patches of 16 a frame");
    assert_eq!(decoded.len(), want.len());
    assert_eq!((decoded.last(), encoded.last()), (Some(&(601, 601)), Some(&(601, 601))));
}

#[test]
fn options_of_the_plan_reach_the_model() {
    let model = Arc::new(FakeModel::new());
    let plan = PlanOptions { max_frames: Some(2), ..PlanOptions::default() };
    let answer = ask(&model, vec![media("v", video(&[1, 2, 3])), text("q")], &Options { plan, ..short(1) });
    assert_eq!(answer.media[0].frames.len(), 2);
}

#[test]
fn an_answer_is_one_json_object_with_the_published_names() {
    let model = saying("yes");
    let answer = ask(&model, vec![media("v", video(&[1])), text("q")], &short(9));
    let json = serde_json::to_value(&answer).expect("json");
    assert_eq!(json["finish_reason"], "stop");
    assert_eq!(json["media"][0]["kind"], "video");
    assert_eq!(json["tokens"]["video"], 4);
    assert!(json["timings"]["total"].as_f64() > Some(0.0));
}

/// A source that cannot give some of its frames.
struct Damaged(InMemory, Vec<usize>);

impl MediaSource for Damaged {
    fn metadata(&self) -> MediaMetadata {
        self.0.metadata()
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        let left: Vec<usize> = indices.iter().copied().filter(|index| !self.1.contains(index)).collect();
        self.0.frames(&left)
    }
}

#[test]
fn frames_that_a_damaged_source_leaves_out_are_counted_and_the_others_keep_their_times() {
    let model = Arc::new(FakeModel::new());
    let ask = |lost: Vec<usize>| {
        let source = Arc::new(Damaged(video(&[1, 2, 3, 4]), lost));
        let pieces = vec![ContentPart::Media(MediaInput::Opened(OpenedMedia::new("broken".into(), source))), text("q")];
        new_session(&model, Limits::default()).ask(pieces, &short(1), &mut ignore)
    };
    let clip = &ask(vec![0, 2]).expect("an answer").media[0];
    assert_eq!((clip.faults.undecodable, clip.frames.len()), (2, 2));
    assert_eq!(clip.frames.iter().map(|frame| frame.time).collect::<Vec<_>>(), [1.0, 3.0]);
    let error = ask(vec![0, 1, 2, 3]).expect_err("nothing left").to_string();
    assert_eq!(error, "broken: none of the 4 requested frames can be decoded");
}

/// A source that shows a neighbor in the place of some frames, and others in another shape.
struct Patched(InMemory, Vec<usize>, Vec<usize>);

impl MediaSource for Patched {
    fn metadata(&self) -> MediaMetadata {
        MediaMetadata { sizes: vec![(4, 4)], ..self.0.metadata() }
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        Box::new(self.0.frames(indices).map(|given| {
            given.map(|mut given| {
                given.repeated = self.1.contains(&given.frame.index);
                if self.2.contains(&given.frame.index) {
                    given.frame.image.width = 2;
                    given.frame.image.data.extend([0; 3]);
                }
                given
            })
        }))
    }
}

#[test]
fn frames_that_are_not_shown_as_planned_are_told_by_answers_and_plans() {
    let model = Arc::new(FakeModel::new());
    let content = || {
        let source = Arc::new(Patched(video(&[1, 2, 3, 4]), vec![1], vec![2, 3]));
        vec![ContentPart::Media(MediaInput::Opened(OpenedMedia::new("patched".into(), source))), text("q")]
    };
    let expected = FrameFaults { repeated: 1, with_bars: 2, ..FrameFaults::default() };
    let answer = new_session(&model, Limits::default()).ask(content(), &short(1), &mut ignore).expect("an answer");
    assert_eq!(answer.media[0].faults, expected);
    let json = serde_json::to_value(&answer).expect("JSON");
    assert_eq!((&json["media"][0]["undecodable"], &json["media"][0]["repeated"]), (&0.into(), &1.into()));
    let request = short(1);
    let options = estimate(&request, true, &model);
    let session = new_session(&model, Limits::default());
    let plan = session.plan_turn(&Limits::default(), content(), options, &mut ignore).expect("a plan");
    assert_eq!(plan.media[0].faults, expected);
}

fn estimate<'o>(request: &'o Options, decode: bool, model: &FakeModel) -> EstimateOptions<'o> {
    let kv_dtype = model.weights().kv_dtype();
    EstimateOptions { request, decode, kv_dtype, weight_bytes: 1000, process_bytes: 500, index: None }
}

#[test]
fn a_plan_counts_what_the_request_would_read() {
    let model = Arc::new(FakeModel::new());
    let content = || vec![media("clip", video(&[5, 5, 6])), media("photo", picture(5)), text("abc")];
    let plan = |now| {
        let (limits, request) = (Limits::default(), short(3));
        let options = estimate(&request, now, &model);
        plan_request(model.processor(), &limits, None, content(), options, &mut ignore).expect("a plan")
    };
    let (headers, pixels) = (plan(false), plan(true));
    assert_eq!((headers.tokens.video, headers.tokens.prompt), (12, 22));
    assert_eq!(model.frames_seen.load(Ordering::SeqCst), 0, "nothing goes through the encoder");
    let answer = ask(&model, content(), &short(3));
    assert_eq!(pixels.tokens, TokenCounts { generated: 0, ..answer.tokens });
    assert_eq!(pixels.media, answer.media);
    // 3 frames of 1x1x3 bytes; 3 x 16 patches of one f32; 16 tokens of 2 + 2 f32; 22 + 3 positions of 16 bytes.
    let memory = headers.memory;
    assert_eq!((memory.frames, memory.patches, memory.visual_tokens, memory.cache), (9, 192, 256, 400));
    // 48 patches of 16 times 2 f32 are more than 25 rows of the same.
    assert_eq!((memory.work, memory.weights, memory.process), ((6 << 20) + 6144, 1000, 500));
    assert_eq!(memory.total, 857 + memory.work + 1500);
}

#[test]
fn a_plan_of_a_later_turn_counts_the_whole_conversation() {
    let model = Arc::new(FakeModel::new());
    let talk = || {
        let mut session = new_session(&model, Limits::default());
        session.ask(vec![media("clip", video(&[5, 5])), text("one")], &short(2), &mut ignore).expect("an answer");
        session
    };
    let next = || vec![media("photo", picture(9)), text("two")];
    let (limits, request) = (Limits::default(), short(2));
    let options = estimate(&request, false, &model);
    let plan = talk().plan_turn(&limits, next(), options, &mut ignore).expect("a plan");
    let answer = talk().ask(next(), &short(2), &mut ignore).expect("an answer");
    assert_eq!(plan.tokens, TokenCounts { generated: 0, reused: 0, ..answer.tokens });
    let names: Vec<&str> = plan.media.iter().map(|media| &media.name[..]).collect();
    assert_eq!(names, ["clip", "photo"]);
}

/// A request of plain ids.
fn request(ids: &[u32], max_new_tokens: usize) -> GenerateRequest {
    GenerateRequest {
        prompt: Arc::new(Prompt::of_text(ids)),
        visual: Vec::new(),
        sampling: Sampling::default(),
        max_new_tokens,
        stop_texts: Vec::new(),
        reuse: None,
        retain: false,
        logits: false,
    }
}

/// Steps until nothing is left; the finished replies in order of their end.
fn run(engine: &mut Engine) -> Vec<(JobId, Generated)> {
    let mut finished = Vec::new();
    while !engine.is_idle() {
        for JobOutput { job, event } in engine.step().expect("a step") {
            match event {
                JobEvent::Finished(generated) => finished.push((job, *generated)),
                JobEvent::Failed(error) => panic!("{error}"),
                _ => {}
            }
        }
    }
    finished
}

fn ids(n: usize, phase: usize) -> Vec<u32> {
    (0..n).map(|i| ((i * 7 + phase) % 29) as u32).collect()
}

#[test]
fn many_sequences_at_once_give_what_each_gives_alone() {
    let model = Arc::new(FakeModel::new());
    let prompts: Vec<Vec<u32>> = [3, 700, 20, 256, 1, 513].iter().enumerate().map(|(n, len)| ids(*len, n)).collect();
    let alone: Vec<Vec<u32>> = prompts
        .iter()
        .map(|prompt| {
            let mut engine = Engine::new(model.clone(), EngineOptions::default()).expect("an engine");
            engine.generate(request(prompt, 30)).expect("a job");
            run(&mut engine).remove(0).1.ids
        })
        .collect();
    let mut engine = Engine::new(model.clone(), EngineOptions::default()).expect("an engine");
    let jobs: Vec<JobId> = prompts.iter().map(|prompt| engine.generate(request(prompt, 30)).expect("a job")).collect();
    let mut together = run(&mut engine);
    together.sort_by_key(|(job, _)| *job);
    for ((job, generated), (want, own)) in together.iter().zip(alone.iter().zip(&jobs)) {
        assert_eq!((job, &generated.ids), (own, want));
    }
    assert_eq!(together.len(), prompts.len());
}

#[test]
fn sequences_wait_for_room_and_one_that_never_fits_fails_alone() {
    let model = Arc::new(FakeModel::new());
    // Two blocks of 256 positions of 16 bytes.
    let options = EngineOptions { cache_bytes: 2 * 256 * 16, ..EngineOptions::default() };
    let mut engine = Engine::new(model, options).expect("an engine");
    let first = engine.generate(request(&ids(250, 0), 100)).expect("a job");
    let second = engine.generate(request(&ids(10, 1), 10)).expect("a job");
    let huge = engine.generate(request(&ids(600, 2), 10)).expect("a job");
    let last = engine.generate(request(&ids(10, 3), 10)).expect("a job");
    let (mut finished, mut failed) = (Vec::new(), Vec::new());
    while !engine.is_idle() {
        for JobOutput { job, event } in engine.step().expect("a step") {
            match event {
                JobEvent::Finished(_) => finished.push(job),
                JobEvent::Failed(error) => failed.push((job, error.to_string())),
                _ => {}
            }
        }
    }
    assert_eq!(finished, [first, second, last]);
    let [(job, text)] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!(*job, huge);
    assert!(text.starts_with("bytes of keys and values: 9760 is more than the limit of 8192"), "{text}");
}

#[test]
fn media_is_encoded_beside_a_reply_without_stalling_it() {
    let mut model = FakeModel::new();
    model.encode_millis = 30;
    let mut engine = Engine::new(Arc::new(model), EngineOptions::default()).expect("an engine");
    let writing = engine.generate(request(&ids(10, 0), 8000)).expect("a job");
    let source: Arc<dyn MediaSource> = Arc::new(video(&[1, 2, 3]));
    let plan = engine.model().processor().plan(&[], &[source.metadata()], &PlanOptions::default()).expect("a plan");
    let encoding = engine.encode("clip", &source, plan[0].clone(), false);
    let (mut tokens, mut ready) = (0, None);
    while ready.is_none() {
        for JobOutput { job, event } in engine.step().expect("a step") {
            match event {
                JobEvent::Token(_) if job == writing => tokens += 1,
                JobEvent::MediaReady(media, _) if job == encoding => ready = Some(media),
                _ => {}
            }
        }
    }
    assert!(tokens > 5, "only {tokens} tokens while the media was encoded");
    assert_eq!(ready.expect("media").features.per_unit(), [4, 4, 4]);
    assert!(engine.end(writing, FinishReason::Cancelled).expect("ended").iter().any(|output| {
        matches!(&output.event, JobEvent::Finished(generated) if generated.finish_reason == FinishReason::Cancelled)
    }));
    assert!(engine.is_idle());
}

/// Visual tokens that differ are not taken for those of an earlier turn, though they stand at the same places.
#[test]
fn keys_and_values_of_other_visual_tokens_are_not_reused() {
    let model = Arc::new(FakeModel::new());
    let mut engine = Engine::new(model.clone(), EngineOptions::default()).expect("an engine");
    let prompt = || {
        let mut prompt = Prompt::of_text(&ids(40, 0));
        (0..20).for_each(|row| prompt.tokens[row] = PromptToken::Visual { placement: 0, row: row as u32 });
        Arc::new(prompt)
    };
    let visual = |key: u128| {
        let rows: Vec<Vec<f32>> = (0..20).map(|row| vec![(row as u128 + 3 * key) as f32, 1.0]).collect();
        let rows = candle_core::Tensor::new(rows, &candle_core::Device::Cpu).expect("rows");
        vec![VisualTokens { key, rows: rows.into(), is_lasting: false }]
    };
    let mut ask = |key: u128, reuse: Option<RetainedKv>| {
        let visual = visual(key);
        let job = GenerateRequest { prompt: prompt(), visual, reuse, retain: true, ..request(&[1], 5) };
        engine.generate(job).expect("a job");
        run(&mut engine).remove(0).1
    };
    let first = ask(1, None);
    let again = ask(1, first.retained);
    assert_eq!((again.reused, &again.ids), (32, &first.ids));
    let other = ask(2, again.retained);
    let fresh = ask(2, None);
    assert_eq!((other.reused, other.ids), (0, fresh.ids));
}
