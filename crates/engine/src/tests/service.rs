//! Many requests over one engine.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sha2::Digest;

use super::*;

/// What a client was told, and whether it is still there.
#[derive(Default)]
pub(super) struct Told {
    pub(super) texts: Vec<String>,
    pub(super) report: Option<TurnReport>,
    pub(super) failed: Option<String>,
    stages: Vec<(Stage, usize, usize)>,
    finished: Vec<(usize, FinishReason)>,
}

#[derive(Clone, Default)]
pub(super) struct Client(Arc<Mutex<Told>>, Arc<AtomicBool>);

impl TurnClient for Client {
    fn event(&mut self, event: TurnEvent) {
        let mut told = self.0.lock().expect("not poisoned");
        match event {
            TurnEvent::Progress { stage, done, total } => told.stages.push((stage, done, total)),
            TurnEvent::Text { reply, text } => {
                if told.texts.len() <= reply {
                    told.texts.resize(reply + 1, String::new());
                }
                told.texts[reply].push_str(&text);
            }
            TurnEvent::Finished { reply, reason, .. } => told.finished.push((reply, reason)),
            TurnEvent::Done(report) => told.report = Some(*report),
            TurnEvent::Failed(error) => told.failed = Some(error.to_string()),
            TurnEvent::Prompt(_) | TurnEvent::Token { .. } | TurnEvent::Logprobs { .. } => {}
        }
    }

    fn is_gone(&self) -> bool {
        self.1.load(Ordering::SeqCst)
    }
}

impl Client {
    pub(super) fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.0.lock().expect("not poisoned")
    }
}

pub(super) fn options() -> ServiceOptions {
    let engine = EngineOptions { prefix_bytes: 1 << 20, encode_beside: true, ..EngineOptions::default() };
    ServiceOptions { engine, media_bytes: 1 << 20, encode_at_once: 2, wall_time: Duration::from_secs(60) }
}

pub(super) fn service(model: &Arc<FakeModel>, options: ServiceOptions) -> Service {
    Service::new(model.clone(), options).expect("a service")
}

/// A part that shows `values` as a film of known content.
pub(super) fn film(values: &[u8]) -> ContentPart {
    let digest = sha2::Sha256::digest(values).into();
    let opened = OpenedMedia::new("film".to_string(), Arc::new(video(values)));
    ContentPart::Media(MediaInput::Opened(OpenedMedia { digest: Some(digest), ..opened }))
}

fn prepared(model: &Arc<FakeModel>, messages: Vec<(Role, Vec<ContentPart>)>) -> PreparedTurn {
    let (processor, limits) = (model.processor(), Limits::default());
    PreparedTurn::new(processor, &limits, messages, &PlanOptions::default(), None).expect("a turn")
}

fn submit(service: &mut Service, model: &Arc<FakeModel>, content: Vec<ContentPart>, tokens: usize) -> Client {
    let client = Client::default();
    let request = TurnRequest { max_new_tokens: tokens, replies: 1, ..TurnRequest::default() };
    service.submit(prepared(model, vec![(Role::User, content)]), request, Box::new(client.clone()));
    client
}

pub(super) fn run_all(service: &mut Service) {
    while !service.is_idle() {
        service.step();
    }
}

/// A film of which every frame differs: 4 tokens a frame.
pub(super) fn values(frames: usize) -> Vec<u8> {
    (0..frames).map(|n| (n % 200) as u8).collect()
}

#[test]
fn clients_of_one_film_share_its_encoding_and_its_keys_and_answer_as_alone() {
    let model = Arc::new(FakeModel::new());
    let question = |n: usize| format!("what is number {}", "i".repeat(n + 1));
    let alone: Vec<String> =
        (0..6).map(|n| ask(&model, vec![film(&values(200)), text(&question(n))], &short(12)).text).collect();
    let (frames, rows) = (model.frames_seen.swap(0, Ordering::SeqCst), model.rows_computed.swap(0, Ordering::SeqCst));
    assert_eq!(frames, 6 * 200);
    let mut service = service(&model, options());
    let clients: Vec<Client> =
        (0..6).map(|n| submit(&mut service, &model, vec![film(&values(200)), text(&question(n))], 12)).collect();
    run_all(&mut service);
    for (client, want) in clients.iter().zip(&alone) {
        let told = client.told();
        assert_eq!((&told.texts[..], &told.failed), (&[want.clone()][..], &None));
        let report = told.report.as_ref().expect("a report");
        assert_eq!((report.tokens.video, report.media[0].frames.len()), (800, 200));
    }
    assert_eq!(model.frames_seen.load(Ordering::SeqCst), 200, "encoded once");
    let reused: Vec<usize> = clients.iter().filter_map(|c| c.told().report.as_ref().map(|r| r.tokens.reused)).collect();
    let shared = "three blocks of 256 rows and a part of one, also while they are read";
    assert_eq!(reused, [0, 800, 800, 800, 800, 800], "{shared}");
    assert!(model.rows_computed.load(Ordering::SeqCst) < rows - 5 * 800 + 10);
    // And again later, from what is kept.
    let late = submit(&mut service, &model, vec![film(&values(200)), text(&question(0))], 12);
    run_all(&mut service);
    assert_eq!((&late.told().texts[0], model.frames_seen.load(Ordering::SeqCst)), (&alone[0], 200));
}

#[test]
fn what_is_kept_stays_within_its_bytes_and_what_went_is_computed_again() {
    let model = Arc::new(FakeModel::new());
    let engine = EngineOptions { prefix_bytes: 2 * 256 * 16, cache_bytes: 8 * 256 * 16, ..options().engine };
    // A film of 200 frames has 800 rows of two f32 features, and as many visual tokens.
    let mut service = service(&model, ServiceOptions { engine, media_bytes: 13_000, ..options() });
    let mut ask_about = |phase: u8| {
        let values: Vec<u8> = values(200).iter().map(|value| value.wrapping_add(phase)).collect();
        let client = submit(&mut service, &model, vec![film(&values), text("what")], 12);
        run_all(&mut service);
        let state = service.state();
        assert!(state.media_bytes <= 13_000 && state.cache_used <= 2 * 256 * 16, "{state:?}");
        let told = client.told();
        (told.texts[0].clone(), told.report.as_ref().map(|report| report.tokens.reused))
    };
    let first = ask_about(0);
    assert_eq!(first.1, Some(0));
    assert_eq!(ask_about(0), (first.0.clone(), Some(512)), "two blocks are kept");
    for phase in 1..4 {
        ask_about(phase);
    }
    assert_eq!(ask_about(0), first, "it went, and comes back");
    assert_eq!(model.frames_seen.load(Ordering::SeqCst), 5 * 200);
}

#[test]
fn a_prompt_of_less_than_a_block_leaves_nothing_and_a_longer_one_its_last_block_too() {
    let model = Arc::new(FakeModel::new());
    let mut service = service(&model, options());
    let mut used_after = |content: Vec<ContentPart>| {
        submit(&mut service, &model, content, 5);
        run_all(&mut service);
        service.state().cache_used / (256 * 16)
    };
    assert_eq!(used_after(vec![text(&"short ".repeat(30))]), 0);
    // 800 visual tokens and some words: three blocks, and a part of one.
    assert_eq!(used_after(vec![film(&values(200)), text("what")]), 4);
}

#[test]
fn a_client_that_leaves_ends_what_only_it_waited_for() {
    let mut model = FakeModel::new();
    model.encode_millis = 2;
    let model = Arc::new(model);
    let mut service = service(&model, options());
    let alone = submit(&mut service, &model, vec![film(&values(300))], 2000);
    let shared = submit(&mut service, &model, vec![film(&values(9)), text("what")], 5);
    let other = submit(&mut service, &model, vec![film(&values(9)), text("when")], 5);
    let endless = submit(&mut service, &model, vec![text("what")], 5000);
    while endless.told().texts.is_empty() {
        service.step();
    }
    for client in [&alone, &shared, &endless] {
        client.1.store(true, Ordering::SeqCst);
    }
    run_all(&mut service);
    assert_eq!(other.told().finished, [(0, FinishReason::Length)]);
    for client in [&alone, &endless] {
        assert!(client.told().report.is_none() && client.told().failed.as_deref() == Some("cancelled"));
    }
    assert!(model.frames_seen.load(Ordering::SeqCst) < 309);
    let state = service.state();
    assert_eq!((state.requests, state.running, state.waiting), (0, 0, 0));
}

/// A film none of whose frames can be decoded.
struct Broken;

impl MediaSource for Broken {
    fn metadata(&self) -> MediaMetadata {
        video(&values(3)).metadata()
    }

    fn frames<'s>(&'s self, _: &[usize]) -> FrameIter<'s> {
        Box::new(std::iter::empty())
    }
}

#[test]
fn media_that_cannot_be_read_fails_its_requests_and_no_other() {
    let model = Arc::new(FakeModel::new());
    let mut service = service(&model, options());
    let broken = || {
        let opened = OpenedMedia::new("broken".to_string(), Arc::new(Broken));
        ContentPart::Media(MediaInput::Opened(OpenedMedia { digest: Some([9; 32]), ..opened }))
    };
    let [one, two] = [(); 2].map(|()| submit(&mut service, &model, vec![broken(), text("what")], 5));
    let fine = submit(&mut service, &model, vec![film(&values(3)), text("what")], 5);
    run_all(&mut service);
    for client in [&one, &two] {
        let told = client.told();
        assert_eq!(told.failed.as_deref(), Some("broken: none of the 3 requested frames can be decoded"));
    }
    assert_eq!(fine.told().finished, [(0, FinishReason::Length)]);
}

#[test]
fn a_film_that_cannot_fit_is_refused_before_the_rest_of_it_is_encoded() {
    let model = Arc::new(FakeModel::with_positions(1000));
    let mut service = service(&model, options());
    let client = submit(&mut service, &model, vec![film(&values(5000)), text("what")], 5);
    run_all(&mut service);
    let told = client.told();
    assert!(told.failed.as_deref().is_some_and(|text| text.starts_with("prompt tokens: 10")), "{:?}", told.failed);
    assert!(model.frames_seen.load(Ordering::SeqCst) < 600, "of 5000");
    let totals: Vec<usize> = told.stages.iter().map(|(_, _, total)| *total).collect();
    assert!(totals.iter().all(|total| *total == 5000) && !totals.is_empty());
}

#[test]
fn a_film_whose_question_alone_does_not_fit_is_not_decoded() {
    let model = Arc::new(FakeModel::with_positions(10));
    let mut service = service(&model, options());
    let client = submit(&mut service, &model, vec![film(&values(3)), text("abcdefgh")], 5);
    run_all(&mut service);
    let told = client.told();
    assert_eq!(told.failed.as_deref(), Some("prompt tokens: 11 is more than the limit of 10"));
    assert_eq!(model.frames_seen.load(Ordering::SeqCst), 0);
}

#[test]
fn several_replies_are_those_of_their_seeds() {
    let model = Arc::new(FakeModel::new());
    let sampling = |seed| Sampling { temperature: 3.0, seed, ..Sampling::default() };
    let alone = |seed| {
        let options = Options { sampling: sampling(seed), ..short(20) };
        let answer = ask(&model, vec![text("what")], &options);
        (answer.text, answer.ids.len())
    };
    let alone = [5, 6, 7].map(alone);
    let mut service = service(&model, options());
    let client = Client::default();
    let request = TurnRequest { sampling: sampling(5), max_new_tokens: 20, replies: 3, ..TurnRequest::default() };
    service.submit(prepared(&model, vec![(Role::User, vec![text("what")])]), request, Box::new(client.clone()));
    run_all(&mut service);
    let told = client.told();
    assert_eq!(told.texts, alone.each_ref().map(|(text, _)| text.clone()));
    assert_eq!(
        told.report.as_ref().map(|report| report.tokens.generated),
        Some(alone.iter().map(|(_, ids)| ids).sum())
    );
}

#[test]
fn the_wall_time_ends_replies_with_what_there_is_and_refuses_what_has_not_begun() {
    let model = Arc::new(FakeModel::new());
    let mut service = service(&model, ServiceOptions { wall_time: Duration::from_millis(300), ..options() });
    let writing = submit(&mut service, &model, vec![text("what")], 8000);
    run_all(&mut service);
    assert_eq!(writing.told().finished, [(0, FinishReason::Time)]);
    assert!(!writing.told().texts[0].is_empty());
    let mut slow = FakeModel::new();
    slow.encode_millis = 40;
    let slow = Arc::new(slow);
    let mut service = Service::new(slow.clone(), ServiceOptions { wall_time: Duration::from_millis(60), ..options() })
        .expect("a service");
    let waiting = submit(&mut service, &slow, vec![film(&values(5000))], 5);
    run_all(&mut service);
    assert!(waiting.told().failed.as_deref().is_some_and(|text| text.starts_with("seconds of wall time")));
}

#[test]
fn a_later_message_changes_nothing_of_what_was_shown_before() {
    let model = Arc::new(FakeModel::new());
    let first = || (Role::User, vec![film(&values(5)), text("what")]);
    let short_film = || {
        let ContentPart::Media(MediaInput::Opened(opened)) = film(&values(9)) else { panic!("a film") };
        let plan = PlanOptions { max_frames: Some(2), ..PlanOptions::default() };
        ContentPart::Media(MediaInput::Opened(OpenedMedia { plan: Some(plan), ..opened }))
    };
    let alone = prepared(&model, vec![first()]);
    let later = vec![first(), (Role::Assistant, vec![text("yes")]), (Role::User, vec![short_film(), film(&values(7))])];
    let both = prepared(&model, later);
    let keys: Vec<_> = both.media.iter().map(|media| media.identity.key).collect();
    assert_eq!(alone.media.first().map(|media| media.identity.key), Some(keys[0]));
    let frames: Vec<usize> = both.media.iter().map(|media| media.plan.frames.len()).collect();
    assert_eq!(frames, [5, 2, 7], "a part's own sampling is its own");
}

#[test]
fn all_frames_of_a_chosen_list_are_shown_at_their_own_times() {
    let model = Arc::new(FakeModel::new());
    let times = [0, 15, 20, 40];
    let mut list = video(&values(4));
    for (frame, tenths) in list.frames.iter_mut().zip(times) {
        frame.time = zoetrope_media::Time::new(tenths, 10);
    }
    list.end = 4.5;
    let part = |plan: PlanOptions| {
        let opened = OpenedMedia::new("list".to_string(), Arc::new(FrameList(list.clone())));
        ContentPart::Media(MediaInput::Opened(OpenedMedia { plan: Some(plan), ..opened }))
    };
    let shown = |plan: PlanOptions| -> Vec<(usize, f64, f64)> {
        let turn = prepared(&model, vec![(Role::User, vec![part(plan), text("what")])]);
        turn.media[0].plan.frames.iter().map(|frame| (frame.index, frame.time, frame.prompt_time)).collect()
    };
    assert_eq!(shown(PlanOptions::default()), [(0, 0.0, 0.0), (1, 1.5, 1.5), (2, 2.0, 2.0), (3, 4.0, 4.0)]);
    let part_of_it = PlanOptions { start: Some(1.8), ..PlanOptions::default() };
    assert_eq!(shown(part_of_it), [(1, 1.5, 1.5), (2, 2.0, 2.0), (3, 4.0, 4.0)]);
}

/// Projecting a film of hours takes minutes: it is done between the steps of others, and for two films in turn.
#[test]
fn a_short_question_is_answered_while_films_are_projected() {
    let mut model = FakeModel::new();
    model.forgets = Some(500);
    let model = Arc::new(model);
    let projected = || model.frames_projected.load(Ordering::SeqCst);
    let mut service = service(&model, options());
    let other: Vec<u8> = values(400).iter().map(|value| 199 - value).collect();
    let content = || vec![film(&values(400)), text("what")];
    let films = [content(), vec![film(&other), text("what")], vec![film(&values(600)), text("who")]];
    let films = films.map(|content| submit(&mut service, &model, content, 12));
    while projected() == 0 {
        service.step();
    }
    let short = submit(&mut service, &model, vec![text("hello")], 12);
    while short.told().report.is_none() {
        let before = projected();
        service.step();
        assert!(projected() - before <= 16, "one step projected {} frames", projected() - before);
    }
    assert!(projected() < 400, "{} frames were projected before a text question was answered", projected());
    run_all(&mut service);
    // The third film has a defect, which is its own.
    let failed = films[2].told().failed.clone().expect("failed");
    assert!(failed.contains("film: the projector gave 63 visual tokens, 64 were counted"), "{failed}");
    let alone = Arc::new(FakeModel::new());
    for (client, content) in films.iter().zip([content(), vec![film(&other), text("what")]]) {
        assert_eq!(client.told().texts, [ask(&alone, content, &super::short(12)).text]);
    }
}
