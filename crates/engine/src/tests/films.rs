//! Films: features that are written to a file, found again, and subtitles beside them.

use std::path::Path;
use std::time::Duration;

use zoetrope_media::subtitle::SubtitleChoice;
use zoetrope_models::contract::feature_file::{FeatureKey, FeatureWriter, ModelIdentity, StoredFeatures};
use zoetrope_models::contract::media_plan::MediaPlan;

use super::*;

/// A film that repeats itself across the runs of 64 frames, so that pruning has something to compare.
fn values() -> Vec<u8> {
    (0..200u32).map(|n| if (60..70).contains(&n) { 7 } else { (n * 37 % 11) as u8 }).collect()
}

fn identity() -> ModelIdentity {
    ModelIdentity { family: "fake".into(), checkpoint: "c".into(), held_as: "f32".into() }
}

/// A job that writes the film's features to `place`.
fn job(model: &Arc<FakeModel>, source: &Arc<dyn MediaSource>, place: &Path) -> IndexJob {
    let plan = plan_of(model, source);
    let key = FeatureKey::new(None, String::new(), identity(), &plan, 2).expect("a key");
    let writer = FeatureWriter::open(place, key, None).expect("a writer").with_interval(Duration::ZERO);
    let model: Arc<dyn VideoLanguageModel> = model.clone();
    IndexJob::new(&model, "film", source, plan, writer).expect("a job")
}

fn plan_of(model: &Arc<FakeModel>, source: &Arc<dyn MediaSource>) -> MediaPlan {
    model.processor().plan(&[], &[source.metadata()], &PlanOptions::default()).expect("a plan").swap_remove(0)
}

/// A source that cannot decode some frames, and shows damage in others.
struct Scratched(InMemory);

impl MediaSource for Scratched {
    fn metadata(&self) -> MediaMetadata {
        self.0.metadata()
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        let frames = self
            .0
            .frames(indices)
            .map(|frame| frame.map(|frame| SourceFrame { damaged: frame.frame.index % 50 == 1, ..frame }));
        Box::new(frames.filter(|frame| !matches!(frame, Ok(frame) if [5, 64, 65, 199].contains(&frame.frame.index))))
    }
}

#[test]
fn an_index_that_is_stopped_after_any_run_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = Arc::new(FakeModel::new());
    let source: Arc<dyn MediaSource> = Arc::new(Scratched(video(&values())));
    let run = |name: &str, stops: &[usize]| {
        let place = folder.path().join(name);
        for stop in stops {
            let mut stopped = job(&model, &source, &place);
            for _ in 0..*stop {
                stopped.advance().expect("a run");
            }
        }
        let mut last = job(&model, &source, &place);
        while !last.advance().expect("a run").done {}
        last.finish().expect("written");
        std::fs::read(&place).expect("features")
    };
    let whole = run("whole", &[]);
    for stops in [&[1][..], &[2], &[3], &[1, 1], &[0, 1, 0, 2], &[4]] {
        assert!(run("stopped", stops) == whole, "stopped after {stops:?} runs");
    }
    // What the engine encodes in one go is what the file has.
    let stored = StoredFeatures::open(&folder.path().join("whole")).expect("features");
    let plan = plan_of(&model, &source);
    let mut engine = Engine::new(model.clone(), EngineOptions::default()).expect("an engine");
    engine.encode("film", &source, plan.clone(), false);
    let mut ready = None;
    while !engine.is_idle() {
        for JobOutput { event, .. } in engine.step().expect("a step") {
            if let JobEvent::MediaReady(media, _) = event {
                ready = Some(media);
            }
        }
    }
    let media = ready.expect("media");
    let MediaFeatures::Fresh(fresh) = &media.features else { panic!("no file was asked for") };
    let all = stored.units(0..196, &candle_core::Device::Cpu).expect("all units");
    assert_eq!((stored.decoded(&plan), &all.per_unit), (media.plan.clone(), &fresh.per_unit));
    assert_eq!(all.rows.to_vec2::<f32>().expect("rows"), fresh.rows.to_vec2::<f32>().expect("rows"));
    assert_eq!((stored.faults().damaged, media.faults.damaged), (4, 4));
}

/// A film of gray frames, one a second.
fn film(place: &Path, frames: usize) {
    let mut bytes = b"YUV4MPEG2 W4 H4 F1:1 Ip A1:1 C420jpeg\n".to_vec();
    for frame in 0..frames {
        bytes.extend_from_slice(b"FRAME\n");
        bytes.extend([(30 + 9 * (frame % 20)) as u8; 16]);
        bytes.extend([128; 8]);
    }
    std::fs::write(place, bytes).expect("written");
}

/// The answer to a question about `film`, and what was told on the way.
fn told(model: &Arc<FakeModel>, film: &Path, choice: SubtitleChoice, index: Option<&FeatureIndex>) -> Told {
    let mut limits = Limits::default();
    limits.files.subtitles = choice;
    let mut session = new_session(model, limits);
    session.use_index(index.cloned());
    let mut told = Told::default();
    let mut watch = |event: &Event| {
        match event {
            Event::Planned(plans) => told.captions = plans[0].captions.iter().map(|own| own.1.clone()).collect(),
            Event::Subtitles { name, cues } => told.subtitles = Some((name.clone(), *cues)),
            Event::Stored { .. } => told.stored = true,
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let content = vec![ContentPart::Media(MediaInput::Path(film.to_path_buf())), text("q")];
    let answer = session.ask(content, &short(6), &mut watch);
    told.answer = answer.map(|answer| answer.ids).map_err(|error| error.to_string());
    told
}

struct Told {
    captions: Vec<String>,
    subtitles: Option<(String, usize)>,
    stored: bool,
    answer: Result<Vec<u32>, String>,
}

impl Default for Told {
    fn default() -> Self {
        Told { captions: Vec::new(), subtitles: None, stored: false, answer: Ok(Vec::new()) }
    }
}

#[test]
fn subtitles_are_found_beside_a_film_or_named_or_left_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("film.y4m");
    film(&place, 4);
    let model = Arc::new(FakeModel::new());
    let none = told(&model, &place, SubtitleChoice::Auto, None);
    assert_eq!((none.captions.len(), none.subtitles), (0, None));
    let beside = folder.path().join("film.en.srt");
    std::fs::write(&beside, "1\n00:00:01,000 --> 00:00:02,000\n<b>Hi</b> there\n").expect("written");
    let found = told(&model, &place, SubtitleChoice::Auto, None);
    assert_eq!(found.captions, ["Hi there"]);
    assert_eq!(found.subtitles, Some((beside.display().to_string(), 1)));
    assert!(told(&model, &place, SubtitleChoice::None, None).captions.is_empty());
    let other = folder.path().join("other");
    std::fs::write(&other, "WEBVTT\n\n00:01.000 --> 00:02.000\nNo\n").expect("written");
    assert_eq!(told(&model, &place, SubtitleChoice::File(other), None).captions, ["No"]);
    let missing = told(&model, &place, SubtitleChoice::File("missing.srt".into()), None).answer.expect_err("refused");
    assert!(missing.contains("film.y4m: subtitles missing.srt: "), "{missing}");
    let track = told(&model, &place, SubtitleChoice::Track(0), None).answer.expect_err("refused");
    assert!(track.contains("subtitle track 0 wanted, 0 there"), "{track}");
    // A file beside the film that nobody named does not stop the question.
    std::fs::write(&beside, "nothing").expect("written");
    assert!(told(&model, &place, SubtitleChoice::Auto, None).answer.is_ok());
    // The fake reads no subtitles when frames are sampled.
    let mut limits = Limits::default();
    limits.files.subtitles = SubtitleChoice::Track(0);
    let options = Options { plan: PlanOptions { fps: Some(1.0), ..PlanOptions::default() }, ..short(1) };
    let error = refused(&model, limits, vec![media("v", video(&[1, 2])), text("q")], &options);
    assert_eq!(error, "subtitles were named, and fake reads none");
}

#[test]
fn stored_features_are_used_until_the_film_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("film.y4m");
    film(&place, 30);
    let model = Arc::new(FakeModel::new());
    let limits = Limits::default();
    let index = FeatureIndex::new(identity(), &limits.files, None, None);
    let fresh = told(&model, &place, SubtitleChoice::Auto, Some(&index));
    assert!(!fresh.stored);
    let source = open_file(&place, &limits).expect("a film");
    let plan = plan_of(&model, &source);
    let key = index.key(&place, &plan, model.processor().as_ref()).expect("a key");
    let features = index.places(&place).remove(0);
    let writer = FeatureWriter::open(&features, key, None).expect("a writer");
    let shared: Arc<dyn VideoLanguageModel> = model.clone();
    let mut job = IndexJob::new(&shared, "film", &source, plan, writer).expect("a job");
    while !job.advance().expect("a run").done {}
    job.finish().expect("written");
    let seen = model.frames_seen.load(Ordering::SeqCst);
    let stored = told(&model, &place, SubtitleChoice::Auto, Some(&index));
    assert!(stored.stored && stored.answer.is_ok());
    assert_eq!(stored.answer, fresh.answer);
    assert_eq!(model.frames_seen.load(Ordering::SeqCst), seen, "nothing was encoded");
    // The file alone stands for its film.
    let alone = told(&model, &features, SubtitleChoice::Auto, Some(&index));
    assert!(alone.stored);
    assert_eq!(alone.answer, fresh.answer);
    let unwanted = told(&model, &features, SubtitleChoice::Auto, None).answer.expect_err("refused");
    assert!(unwanted.contains("not to be used"), "{unwanted}");
    let other = ModelIdentity { checkpoint: "d".into(), ..identity() };
    let other = FeatureIndex::new(other, &limits.files, None, None);
    let error = told(&model, &features, SubtitleChoice::Auto, Some(&other)).answer.expect_err("refused");
    assert!(error.contains("of another model"), "{error}");
    // Subtitles are of the question, not of the features.
    std::fs::write(folder.path().join("film.srt"), "1\n00:00:01,000 --> 00:00:02,000\nHi\n").expect("written");
    let stored = told(&model, &place, SubtitleChoice::Auto, Some(&index));
    assert!(stored.stored && stored.captions == ["Hi"]);
    // Another model, another film.
    let other = ModelIdentity { checkpoint: "d".into(), ..identity() };
    let other = FeatureIndex::new(other, &limits.files, None, None);
    assert!(!told(&model, &place, SubtitleChoice::Auto, Some(&other)).stored);
    film(&place, 31);
    assert!(!told(&model, &place, SubtitleChoice::Auto, Some(&index)).stored);
}
