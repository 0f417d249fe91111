//! Runs of a few steps over the toy checkpoints of the families.

mod adapters;
mod ahead;
mod contrastive;
mod data;
mod losses;
mod metrics;
mod mixed;
mod preferences;
mod processes;
mod published;
mod stages;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Tensor};
use zoetrope_models::checkpoint::Checkpoint as ModelCheckpoint;
use zoetrope_models::contract::prompt::{Message, Role};
use zoetrope_models::weights::ParameterGroup;

use super::gradients::Accumulated;
use super::place::{BEST, CHECKPOINT};
use super::*;
use crate::data::{BadSample, DataOptions, Dataset};
use crate::error::LabError;
use crate::sample::Sample;
use crate::synth::{Difficulty, Split};
use crate::train::checkpoint::Checkpoint;
use crate::train::recipe::{Recipe, Stage};

/// The toys, one of every family.
const TOYS: [&str; 5] =
    ["cogvlm2/toy-video", "llama_vid/toy", "llava_onevision/toy-hf", "videochat2/toy-hd", "videollama3/toy-hf"];
/// The one that is taken where one is enough.
const TOY: &str = TOYS[4];

fn toy(folder: &str) -> ModelCheckpoint {
    let goldens = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tests/golden");
    ModelCheckpoint::Folder(PathBuf::from(goldens).join(folder))
}

/// A recipe whose stages are written without what all of them have.
fn recipe(stages: &str) -> Recipe {
    let defaults = r#"
        seed = 3
        [defaults]
        batch = 2
        pack = 1
        turns = 2
        steps = 2
        media.max_frames = 2
        optimizer.lr = 0.01
        data = [{ drawn = "one_object" }]
    "#;
    Recipe::parse(&format!("{defaults}\n{stages}")).unwrap()
}

/// Drawn samples in the place of a file. Row `bad` is none. Pairs have a rejected answer to the last question.
struct TestData {
    samples: u64,
    bad: Option<u64>,
    are_pairs: bool,
}

impl Dataset for TestData {
    fn name(&self) -> &str {
        "test.json"
    }

    fn len(&self) -> u64 {
        self.samples
    }

    fn sample(&self, index: u64) -> Result<Sample, BadSample> {
        if Some(index) == self.bad {
            return Err(BadSample { file: "test.json".into(), row: index + 1, reason: "no answer".to_string() });
        }
        let sample = Sample::drawn(Split::Train, 70 + index, &Difficulty::one_object(), 1 + (index % 3) as usize);
        let rejected = self.are_pairs.then(|| {
            let mut messages = sample.messages.clone();
            let last = Message::text(Role::Assistant, format!("It is none of these, {index} times."));
            *messages.last_mut().unwrap() = last;
            messages
        });
        Ok(Sample { rejected, ..sample })
    }
}

/// A file called `N` has so many samples; one called `N-bad` has a row 3 that is none, those of `N-pairs` are pairs.
fn open_test_data(file: &Path, _: &DataOptions) -> Result<Arc<dyn Dataset>, LabError> {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let (samples, what) = name.split_once('-').unwrap_or((&name, ""));
    let samples = samples.parse().unwrap();
    Ok(Arc::new(TestData { samples, bad: (what == "bad").then_some(2), are_pairs: what == "pairs" }))
}

fn open(toy_folder: &str, folder: &Path, recipe: &Recipe) -> Trainer {
    Trainer::open_with(&toy(toy_folder), folder, recipe.clone(), false, &open_test_data).unwrap()
}

/// The reports of all steps up to `until`.
fn run(trainer: &mut Trainer, until: usize) -> Vec<StepReport> {
    let mut reports = Vec::new();
    trainer
        .run(&mut |report| {
            let stop = report.progress.step >= until;
            let (group_norms, sources) = (report.group_norms.clone(), report.sources.clone());
            let (stage, bad) = (report.stage.clone(), report.bad.clone());
            assert!(report.export_error.is_none(), "{:?}", report.export_error);
            reports.push(StepReport { stage, group_norms, sources, bad, export_error: None, ..*report });
            if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    reports
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_dtype(DType::F32).unwrap().to_vec1().unwrap()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    values(tensor).into_iter().map(f32::to_bits).collect()
}

/// The tensors of an exported model.
fn exported(folder: &Path) -> BTreeMap<String, Tensor> {
    let file = folder.join("model.safetensors");
    candle_core::safetensors::load(file, &candle_core::Device::Cpu).unwrap().into_iter().collect()
}
