//! A step against the authors' code (`reference/make_videochat2_alignment.py`).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Device, Tensor};
use serde_json::Value;
use zoetrope_engine::InMemory;
use zoetrope_media::{Frame, Rgb, Time};
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::alignment::Aligner;
use zoetrope_models::contract::media_plan::{MediaKind, PlanOptions};
use zoetrope_models::contract::settings::Settings;
use zoetrope_models::loading;
use zoetrope_models::weights::LoadOptions;

use super::contrastive::{AlignedSample, ContrastiveSums, ContrastiveWork};
use super::contrastive_loss::ContrastiveWeights;
use crate::sample::{Sample, SampleMedia};
use crate::train::optimizer::Trained;

const ALL: ContrastiveWeights =
    ContrastiveWeights { contrast: 1.0, matching: 1.0, captioning: 1.0, label_smoothing: 0.1 };

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden/videochat2")
}

struct Golden {
    tensors: HashMap<String, Tensor>,
    recorded: Value,
}

impl Golden {
    fn read() -> Self {
        let tensors = candle_core::safetensors::load(folder().join("alignment.safetensors"), &Device::Cpu).unwrap();
        let recorded = std::fs::read(folder().join("alignment.json")).unwrap();
        Golden { tensors, recorded: serde_json::from_slice(&recorded).unwrap() }
    }

    fn samples(&self) -> Vec<Sample> {
        let captions = self.recorded["captions"].as_array().unwrap().iter().enumerate();
        captions.map(|(n, caption)| captioned(&self.tensors[&format!("raw.{n}")], caption.as_str().unwrap())).collect()
    }

    fn row(&self, n: usize) -> (usize, u64) {
        let row = &self.recorded["rows"][n];
        (row[0].as_u64().unwrap() as usize, row[1].as_u64().unwrap())
    }

    /// Four times PyTorch's own distance from f64 runs.
    fn bound(&self, name: &str) -> f64 {
        4.0 * self.recorded["f32_noise"][name].as_f64().unwrap()
    }
}

fn captioned(raw: &Tensor, caption: &str) -> Sample {
    let (frames, height, width, _) = raw.dims4().unwrap();
    let frame = |index: usize| {
        let data = raw.get(index).unwrap().flatten_all().unwrap().to_vec1::<u8>().unwrap();
        let image = Rgb { width: width as u32, height: height as u32, data };
        Frame { index, time: Time::new(index as i64, 1), image }
    };
    let kind = if frames == 1 { MediaKind::Image } else { MediaKind::Video };
    let all = (0..frames).map(frame).collect();
    let media = SampleMedia::new(Arc::new(InMemory { kind, frames: all, end: frames as f64 }));
    Sample::conversation(vec![media], &[("Describe it.".to_string(), caption.to_string())])
}

fn options() -> PlanOptions {
    PlanOptions {
        max_frames: Some(4),
        settings: Settings::default().with("norm", "imagenet"),
        ..PlanOptions::default()
    }
}

/// A step over the golden's samples in packs of `pack`; of the encoder only what `trains` says.
fn step(golden: &Golden, pack: usize, weights: ContrastiveWeights, trains: fn(&str) -> bool) -> ContrastiveSums {
    let model = loading::open(&Checkpoint::Folder(folder().join("toy")), LoadOptions::training()).unwrap();
    let aligner = model.aligner(None).unwrap().unwrap();
    let mut trained: BTreeMap<String, Trained> = Trained::all(model.weights(), |_| 1.0);
    trained.retain(|name, _| trains(name));
    let options = options();
    let seed = golden.recorded["seed"].as_u64().unwrap();
    let first = golden.recorded["first"].as_u64().unwrap();
    let model: &dyn VideoLanguageModel = &*model;
    let (aligner, trained, options) = (&*aligner, &trained, &options);
    let work = ContrastiveWork { model, aligner, trained, options, weights, seed, pack, at_once: 2 };
    let prepare = |(n, sample): (usize, &Sample)| work.prepare(sample, golden.row(n), first + 2 - n as u64).unwrap();
    let samples: Vec<AlignedSample> = golden.samples().iter().enumerate().map(prepare).collect();
    work.step(&samples, true).unwrap()
}

/// A step in packs of three that learns nothing.
fn measuring<'a>(
    model: &'a dyn VideoLanguageModel,
    aligner: &'a dyn Aligner,
    trained: &'a BTreeMap<String, Trained>,
    options: &'a PlanOptions,
) -> ContrastiveWork<'a> {
    ContrastiveWork { model, aligner, trained, options, weights: ALL, seed: 5, pack: 3, at_once: 1 }
}

fn off(ours: &[f32], theirs: &Tensor) -> f64 {
    let theirs = theirs.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

#[test]
fn each_loss_is_that_of_the_authors_code() {
    let golden = Golden::read();
    let none = ContrastiveWeights { contrast: 0.0, matching: 0.0, captioning: 0.0, ..ALL };
    for (name, weights) in [
        ("loss.contrast", ContrastiveWeights { contrast: 1.0, ..none }),
        ("loss.matching", ContrastiveWeights { matching: 1.0, ..none }),
        ("loss.captioning", ContrastiveWeights { captioning: 1.0, ..none }),
    ] {
        let ours = step(&golden, 3, weights, |_| true).loss;
        let theirs = f64::from(golden.tensors[name].to_vec1::<f32>().unwrap()[0]);
        // Rounding of a single value may be 0 by luck; that of a loss of this size is not.
        let bound = golden.bound(name).max(4.0 * f64::from(f32::EPSILON) * theirs);
        assert!((ours - theirs).abs() <= bound, "{name}: {ours}, theirs {theirs}, allowed {bound}");
    }
}

/// In one pack and in several, with an encoder that learns and one that is frozen.
#[test]
fn gradients_of_a_step_are_those_of_the_authors_code() {
    let golden = Golden::read();
    let frozen: fn(&str) -> bool = |name| !name.starts_with("vision_encoder.");
    for (pack, trains) in [(3, (|_| true) as fn(&str) -> bool), (2, frozen), (1, frozen)] {
        let found = step(&golden, pack, ALL, trains);
        let mut compared = 0;
        for (name, theirs) in golden.tensors.iter().filter_map(|(name, t)| Some((name.strip_prefix("gradient.")?, t))) {
            let ours =
                if name == "qformer.cls.predictions.bias" { "qformer.cls.predictions.decoder.bias" } else { name };
            let (off, bound) = (off(&found.gradients[ours], theirs), golden.bound(&format!("gradient.{name}")));
            assert!(off <= bound, "{name} in packs of {pack}: off by {off}, allowed {bound}");
            compared += 1;
        }
        assert_eq!(compared, 18);
    }
}

/// A step without gradients has the same loss; nothing of it is summed up.
#[test]
fn a_measured_step_has_the_loss_of_a_learned_one() {
    let golden = Golden::read();
    let learned = step(&golden, 2, ALL, |_| true);
    let model = loading::open(&Checkpoint::Folder(folder().join("toy")), LoadOptions::training()).unwrap();
    let aligner = model.aligner(None).unwrap().unwrap();
    let (trained, options) = (BTreeMap::new(), options());
    let work = measuring(&*model, &*aligner, &trained, &options);
    let prepare = |(n, sample): (usize, &Sample)| work.prepare(sample, golden.row(n), 64 + n as u64).unwrap();
    let samples: Vec<AlignedSample> = golden.samples().iter().enumerate().map(prepare).collect();
    let measured = work.step(&samples, false).unwrap();
    assert!(measured.gradients.is_empty());
    assert!((measured.loss - learned.loss).abs() < 1e-5, "{} {}", measured.loss, learned.loss);
    // A single sample has no wrong partner: one right pair, and a contrast of nothing.
    let alone = work.step(&samples[..1], false).unwrap();
    assert!(alone.loss.is_finite() && alone.captions.len() == 1);
}

#[test]
fn samples_without_a_caption_or_with_other_media_say_so() {
    let golden = Golden::read();
    let model = loading::open(&Checkpoint::Folder(folder().join("toy")), LoadOptions::training()).unwrap();
    let aligner = model.aligner(None).unwrap().unwrap();
    let (trained, options) = (BTreeMap::new(), options());
    let work = measuring(&*model, &*aligner, &trained, &options);
    let error = |sample: &Sample| work.prepare(sample, (0, 0), 0).err().unwrap().to_string();
    let whole = golden.samples().remove(1);
    let two = Sample { media: [&whole.media[..], &whole.media[..]].concat(), ..whole.clone() };
    assert!(error(&two).contains("2 pictures or clips"), "{}", error(&two));
    let silent = Sample { messages: whole.messages[..1].to_vec(), ..whole };
    assert!(error(&silent).contains("no answer"), "{}", error(&silent));
}
