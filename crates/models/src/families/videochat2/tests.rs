//! Against goldens of the authors' own code at toy size (`reference/make_videochat2_toy.py`), and the rules that are easy
//! to get wrong.

mod alignment;
mod files;
mod model;
mod prompts;
mod rules;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use tempfile::TempDir;
use zoetrope_media::{Frame, Time};

use super::*;
use crate::contract::media_plan::{MediaMetadata, PlanOptions};
use crate::families::golden_frames;
use crate::weights::{Archive, LoadOptions};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/videochat2")
}

fn tensors(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(golden().join(name).with_extension("safetensors"), &Device::Cpu).unwrap()
}

fn goldens() -> Value {
    serde_json::from_slice(&std::fs::read(golden().join("goldens.json")).unwrap()).unwrap()
}

fn toy_folder() -> Checkpoint {
    Checkpoint::Folder(golden().join("toy-hd"))
}

fn toy_config() -> Value {
    toy_folder().json("config.json").unwrap().unwrap()
}

fn toy(options: LoadOptions) -> VideoChat2 {
    let checkpoint = toy_folder();
    let tables = names::tables(&Config::load(&checkpoint).unwrap());
    let archive = Archive::open(&checkpoint, &tables).unwrap();
    VideoChat2::load(&checkpoint, Weights::open(vec![archive], options).unwrap()).unwrap()
}

/// The toy's folder without its weights, with another configuration.
fn folder_with(config: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json", "vocab.txt"] {
        std::fs::copy(golden().join("toy-hd").join(name), folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

/// The toy of another class, without tiles.
fn plain_config(class: &str) -> Value {
    let mut config = toy_config();
    config["model_config"]["model_cls"] = json!(class);
    config["model_config"].as_object_mut().unwrap().remove("dynamic_config");
    config
}

fn processor_of(config: &Value) -> VideoChat2Processor {
    VideoChat2Processor::load(&Checkpoint::from(folder_with(config).path())).unwrap()
}

/// Frames of a golden file, one a second.
fn frames_of(raw: &Tensor) -> Vec<Frame> {
    golden_frames::frames_of(raw, 1)
}

/// A video of `n` frames, `fps` a second.
fn clip(size: (u32, u32), n: usize, fps: u32) -> MediaMetadata {
    let times: Vec<Time> = (0..n as i64).map(|n| Time::new(n, fps)).collect();
    MediaMetadata::video(size, times, n as f64 / f64::from(fps))
}

/// The plan that shows all frames of a golden: their number there is the maker's choice.
fn plan_of(processor: &dyn Processor, frames: &[Frame], kind: MediaKind) -> MediaPlan {
    let size = (frames[0].image.width, frames[0].image.height);
    let media = match kind {
        MediaKind::Image => MediaMetadata::picture(size),
        MediaKind::Video => clip(size, frames.len(), 1),
    };
    let plan = processor.plan(&[], std::slice::from_ref(&media), &PlanOptions::default()).unwrap().remove(0);
    MediaPlan { frames: (0..frames.len()).map(|n| media.planned_frame(n, n as f64)).collect(), ..plan }
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.to_dtype(candle_core::DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn worst(ours: &Tensor, theirs: &Tensor) -> f64 {
    assert_eq!(ours.dims(), theirs.dims());
    numbers(ours).iter().zip(numbers(theirs)).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

/// Ours may differ by four times the reference's own f32 rounding (`noise`, its largest distance from an f64 run).
fn close(what: &str, ours: &Tensor, theirs: &Tensor, noise: &Value) {
    let bound = 4.0 * noise.as_f64().unwrap_or_else(|| panic!("no noise is known of {what}"));
    let off = worst(ours, theirs);
    assert!(off <= bound, "{what}: off by {off}, allowed {bound}");
}
