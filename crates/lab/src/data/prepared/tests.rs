//! What is decoded how often, and how much of it lies in memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use candle_core::DType;
use zoetrope_engine::{FrameIter, InMemory, MediaSource};
use zoetrope_media::{Frame, Rgb, Time};
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::feature_file::ModelIdentity;
use zoetrope_models::contract::media_plan::{MediaKind, MediaMetadata, PlanOptions};
use zoetrope_models::loading;
use zoetrope_models::weights::LoadOptions;

use super::*;
use crate::data::read_ahead::ReadAhead;
use crate::sample::{Sample, SampleMedia};

fn model() -> Arc<dyn VideoLanguageModel> {
    let goldens = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tests/golden");
    let checkpoint = Checkpoint::Folder(PathBuf::from(goldens).join("videollama3/toy-hf"));
    loading::open(&checkpoint, LoadOptions::cpu(DType::F32)).expect("a model")
}

/// A clip in memory that counts the frames that are asked for.
struct Counted {
    clip: InMemory,
    frames: AtomicUsize,
}

impl Counted {
    fn new(frames: usize) -> Arc<Self> {
        let frame = |index: usize| {
            let data = (0..56 * 42 * 3).map(|at| (at * 5 + 31 * index) as u8).collect();
            Frame { index, time: Time::new(index as i64, 2), image: Rgb { width: 56, height: 42, data } }
        };
        let clip =
            InMemory { kind: MediaKind::Video, frames: (0..frames).map(frame).collect(), end: frames as f64 / 2.0 };
        Arc::new(Counted { clip, frames: AtomicUsize::new(0) })
    }

    fn sample(self: &Arc<Self>, content: u8) -> Sample {
        let media = SampleMedia::new(Arc::clone(self) as Arc<dyn MediaSource>).with_content(move || Ok([content; 32]));
        Sample::conversation(vec![media], &[("What?".to_string(), "It.".to_string())])
    }

    fn frames(&self) -> usize {
        self.frames.load(Ordering::SeqCst)
    }
}

impl MediaSource for Counted {
    fn metadata(&self) -> MediaMetadata {
        self.clip.metadata()
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        Box::new(self.clip.frames(indices).inspect(|_| {
            self.frames.fetch_add(1, Ordering::SeqCst);
        }))
    }
}

const OPTIONS: LoaderOptions =
    LoaderOptions { workers: 1, ahead_mb: 512, keep_mb: 64, keep_features: true, disk_mb: 0 };

fn loader(model: &dyn VideoLanguageModel, kept: &Arc<KeptMedia>, frozen: Option<FrozenFeatures>) -> SampleLoader {
    SampleLoader::new(model.processor(), PlanOptions::default()).keeping(&OPTIONS, kept, frozen)
}

fn load(loader: &SampleLoader, sample: &Sample) -> LoadedSample {
    loader.load(sample).expect("frames").expect("it is short")
}

/// The features of a sample's only clip, as bits.
fn features(loader: &SampleLoader, model: &dyn VideoLanguageModel, sample: LoadedSample) -> Vec<u32> {
    let media = sample.media.into_iter().next().expect("a clip");
    let features = loader.encode(model, media, &sample.plans[0], |_| ()).expect("features");
    let values = features.rows.flatten_all().and_then(|rows| rows.to_vec1::<f32>()).expect("values");
    values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn media_that_are_kept_are_decoded_once() {
    let (model, clip, kept) = (model(), Counted::new(6), Arc::new(KeptMedia::new(OPTIONS.kept_bytes())));
    let keeping = loader(&*model, &kept, None);
    let first = load(&keeping, &clip.sample(1));
    let (decoded, runs) = (clip.frames(), first.media[0].runs().0.cloned().expect("patches"));
    assert_eq!(decoded, first.plans[0].frames.len());
    assert!(first.bytes > 0 && kept.bytes() == first.bytes);
    let again = load(&keeping, &clip.sample(1));
    assert_eq!(clip.frames(), decoded, "the second time is free");
    assert!(Arc::ptr_eq(again.media[0].runs().0.expect("patches"), &runs));
    // Another content, other frames, and media of which nothing is known are decoded.
    load(&keeping, &clip.sample(2));
    assert_eq!(clip.frames(), 2 * decoded);
    let fewer = PlanOptions { max_frames: Some(2), ..PlanOptions::default() };
    load(&SampleLoader::new(model.processor(), fewer).keeping(&OPTIONS, &kept, None), &clip.sample(1));
    assert_eq!(clip.frames(), 2 * decoded + 2);
    let unknown = SampleMedia::new(Arc::clone(&clip) as Arc<dyn MediaSource>);
    let unknown = Sample::conversation(vec![unknown], &[("What?".to_string(), "It.".to_string())]);
    load(&keeping, &unknown);
    load(&keeping, &unknown);
    assert_eq!(clip.frames(), 4 * decoded + 2);
}

#[test]
fn features_of_a_frozen_encoder_are_kept_in_memory_and_on_disk() {
    let (model, clip, folder) = (model(), Counted::new(6), tempfile::tempdir().expect("a folder"));
    let plain = SampleLoader::new(model.processor(), PlanOptions::default());
    let wanted = features(&plain, &*model, load(&plain, &clip.sample(1)));
    let identity = |name: &str| ModelIdentity {
        family: "toy".to_string(),
        checkpoint: name.to_string(),
        held_as: "f32".to_string(),
    };
    let begin = |encoder: &str, disk: u64| {
        let kept = Arc::new(KeptMedia::new(OPTIONS.kept_bytes()));
        let store = FrozenFeatures::open_store(folder.path(), disk).expect("a folder");
        let frozen = FrozenFeatures::new(identity(encoder), "toy", store.as_ref(), &*model);
        (loader(&*model, &kept, Some(frozen)), store)
    };
    for (number, disk) in [0, 1 << 20].into_iter().enumerate() {
        let (keeping, store) = begin("a", disk);
        let before = clip.frames();
        let first = load(&keeping, &clip.sample(1));
        assert!(!first.media[0].is_encoded(), "{number}");
        // Loaded ahead, before the first one is encoded.
        let early = load(&keeping, &clip.sample(1));
        assert_eq!(features(&keeping, &*model, first), wanted);
        assert_eq!(features(&keeping, &*model, early), wanted);
        let decoded = clip.frames();
        assert!(decoded > before);
        let again = load(&keeping, &clip.sample(1));
        assert!(again.media[0].is_encoded() && clip.frames() == decoded);
        assert_eq!(features(&keeping, &*model, again), wanted);
        if let Some(store) = store {
            store.flush();
        }
    }
    // Another process finds the files; another encoder does not.
    let (keeping, _store) = begin("a", 1 << 20);
    let decoded = clip.frames();
    let stored = load(&keeping, &clip.sample(1));
    assert!(stored.media[0].is_encoded() && clip.frames() == decoded);
    assert_eq!(features(&keeping, &*model, stored), wanted);
    let (keeping, _store) = begin("b", 1 << 20);
    assert!(!load(&keeping, &clip.sample(1)).media[0].is_encoded());
}

#[test]
fn no_more_of_a_film_is_made_ahead_than_may_be() {
    let (model, film) = (model(), Counted::new(400));
    let options = PlanOptions { max_frames: Some(400), fps: Some(2.0), ..PlanOptions::default() };
    let whole = SampleLoader::new(model.processor(), options.clone());
    let whole = whole.keeping(&OPTIONS, &Arc::new(KeptMedia::new(0)), None);
    let all = load(&whole, &film.sample(1));
    let (runs, more) = all.media[0].runs();
    let a_run = all.bytes / runs.expect("patches").len() as u64;
    assert!(!more && all.bytes > 1_500_000, "{} bytes", all.bytes);
    let options_of_one = LoaderOptions { ahead_mb: 1, ..OPTIONS };
    let bounded =
        SampleLoader::new(model.processor(), options).keeping(&options_of_one, &Arc::new(KeptMedia::new(0)), None);
    let part = load(&bounded, &film.sample(1));
    assert!(part.media[0].runs().1, "there is more");
    assert!(part.bytes <= options_of_one.sample_bytes() + 2 * a_run, "{} bytes", part.bytes);
    assert_eq!(features(&bounded, &*model, part), features(&whole, &*model, all));
}

#[test]
fn what_waits_and_what_is_at_work_stay_within_the_bytes() {
    const MOST: u64 = 1_000_000;
    for workers in [1, 3] {
        let options = LoaderOptions { workers, ahead_mb: 1, ..OPTIONS };
        // Every result is as large as one may be.
        let size = options.sample_bytes();
        let (held, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (own, worst) = (Arc::clone(&held), Arc::clone(&most));
        let load = move |number: u64| {
            let now = own.fetch_add(size, Ordering::SeqCst) + size;
            worst.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(200 * (number % 3)));
            number
        };
        let feed = Feed::new(0..60, options.read_ahead(), move |_| size, load).expect("threads");
        for number in 0..60 {
            std::thread::sleep(Duration::from_millis(1));
            assert_eq!(feed.take(number), Some(number));
            held.fetch_sub(size, Ordering::SeqCst);
        }
        assert_eq!((feed.take(60), feed.take(3)), (None, None));
        let most = most.load(Ordering::SeqCst);
        // What is taken was counted a moment longer than it waited.
        assert!(most > size && most <= MOST + size, "{most} with {workers} workers of {size}");
    }
}

#[test]
fn threads_that_take_at_once_get_their_own() {
    let ahead = ReadAhead { workers: 2, bytes: 10, results: 64 };
    let feed = Feed::new((0..200).map(|number| 3 * number), ahead, |_| 4, |number| number + 1).expect("threads");
    let take = |numbers: Vec<u64>| numbers.into_iter().all(|number| feed.take(number) == Some(number + 1));
    std::thread::scope(|scope| {
        let take = &take;
        let own = |first: u64| (0..200).skip(first as usize).step_by(4).map(|number| 3 * number).collect::<Vec<u64>>();
        let threads: Vec<_> = (0..4).map(|first| scope.spawn(move || take(own(first)))).collect();
        assert!(threads.into_iter().all(|thread| thread.join().expect("no panic")));
    });
    assert_eq!((feed.take(1), feed.take(3)), (None, None), "one that is not among them, and one that was taken");
}

#[test]
fn a_panic_of_a_worker_goes_on_where_its_result_is_taken() {
    let load = |number: u64| if number == 1 { panic!("number {number}") } else { number };
    let feed = Feed::new(0..3, ReadAhead::default(), |_| 1, load).expect("threads");
    assert_eq!(feed.take(0), Some(0));
    let taken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| feed.take(1)));
    assert!(taken.is_err());
    assert_eq!(feed.take(2), Some(2));
}
