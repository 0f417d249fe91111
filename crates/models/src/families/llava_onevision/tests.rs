//! Against goldens of transformers and of the authors' own code; `reference/make_llava_onevision_toy.py` made them.

mod configurations;
mod original;
mod transformers;
mod worked_numbers;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use zoetrope_media::{Frame, Time};

use super::*;
use crate::contract::embed;
use crate::contract::features::PrepareState;
use crate::contract::media_plan::{MediaMetadata, PlanOptions};
use crate::contract::prompt::{GenerationPrompt, Message, MessagePart, Prompt, PromptToken, Role};
use crate::contract::settings::Settings;
use crate::error::ModelError;
use crate::families::golden_frames;
use crate::weights::{Archive, LoadOptions, NameTable, Origin};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/llava_onevision")
}

fn checkpoint(name: &str) -> Checkpoint {
    Checkpoint::Folder(golden().join(name))
}

fn tensors(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(golden().join(name).with_extension("safetensors"), &Device::Cpu).unwrap()
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden().join(name)).unwrap()).unwrap()
}

fn open(checkpoint: &Checkpoint) -> Result<OneVision, ModelError> {
    let archive = Archive::open(checkpoint, &names::tables())?;
    OneVision::load(checkpoint, Weights::open(vec![archive], LoadOptions::cpu(DType::F32))?)
}

fn toy() -> OneVision {
    open(&checkpoint("toy-hf")).unwrap()
}

/// The toy's tensors by our names.
fn toy_tensors() -> HashMap<String, Tensor> {
    let on_disk = candle_core::safetensors::load(golden().join("toy-hf/model.safetensors"), &Device::Cpu).unwrap();
    let ours = |name: String| match name.strip_prefix("language_model.") {
        Some(rest) if rest.starts_with("lm_head") => rest.to_string(),
        Some(rest) => format!("model.language_model.{}", rest.strip_prefix("model.").unwrap()),
        None => format!("model.{name}"),
    };
    on_disk.into_iter().map(|(name, tensor)| (ours(name), tensor)).collect()
}

/// A folder with the files of `from` and the toy's weights in the layout `table`.
fn folder(from: &str, table: &NameTable) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(golden().join(from)).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|ending| ending == "json" || ending == "jinja") {
            std::fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
        }
    }
    let renamed = toy_tensors().into_iter().map(|(name, tensor)| match (table.origin)(&name) {
        Some(Origin::Tensor(theirs)) => (theirs, tensor),
        other => panic!("{name}: {other:?}"),
    });
    let renamed: HashMap<String, Tensor> = renamed.collect();
    candle_core::safetensors::save(&renamed, folder.path().join("model.safetensors")).unwrap();
    folder
}

/// The toy in the authors' layout.
fn toy_original() -> (tempfile::TempDir, OneVision) {
    let folder = folder("original-layout", &names::tables()[0]);
    let model = open(&Checkpoint::from(folder.path())).unwrap();
    assert_eq!((model.weights.layouts(), model.weights.unused()), (vec!["original"], vec![]));
    (folder, model)
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn positions(n: usize) -> Vec<Position> {
    (0..n).map(|id| Position::text(id as u32)).collect()
}

fn logits_of(model: &OneVision, x_td: &Tensor, rows: &[usize]) -> Tensor {
    let t = x_td.dim(0).unwrap();
    model.forward(x_td, &positions(t), &mut KvContext::Varlen(&[t]), rows).unwrap()
}

/// Ours may differ from the reference by four times the reference's own f32 rounding (`noise`, its largest distance
/// from an f64 run): two independent roundings of that size, and room for the largest of thousands of values.
fn close(what: &str, ours: &Tensor, theirs: &Tensor, noise: &Value) {
    let bound = 4.0 * noise.as_f64().unwrap_or_else(|| panic!("no noise is known of {what}"));
    within(what, ours, theirs, bound);
}

fn within(what: &str, ours: &Tensor, theirs: &Tensor, bound: f64) {
    assert_eq!(ours.dims(), theirs.dims(), "{what}");
    let worst = numbers(ours).iter().zip(numbers(theirs)).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    assert!(worst <= bound, "{what}: off by {worst}, allowed {bound}");
}

/// Frames of a golden file, one a second.
fn frames_of(raw: &Tensor) -> Vec<Frame> {
    golden_frames::frames_of(raw, 1)
}

fn metadata(frames: &[Frame], kind: MediaKind) -> MediaMetadata {
    let size = (frames[0].image.width, frames[0].image.height);
    match kind {
        MediaKind::Image => MediaMetadata::picture(size),
        MediaKind::Video => {
            let times: Vec<Time> = frames.iter().map(|frame| frame.time).collect();
            MediaMetadata::video(size, times, frames.len() as f64)
        }
    }
}

/// Pixels of whole patches of views `[n, 3, side, side]` as gray levels, in our order of patches.
fn patches_of_levels(levels: &Tensor, c: &config::VisionConfig) -> Vec<u8> {
    let (n, _, _, _) = levels.dims4().unwrap();
    let (side, patch) = (c.side(), c.patch);
    let seen = levels.narrow(2, 0, side * patch).unwrap().narrow(3, 0, side * patch).unwrap();
    let cut = seen.contiguous().unwrap().reshape((n * 3, side, patch, side, patch)).unwrap();
    let cut = cut.permute((0, 1, 3, 2, 4)).unwrap().contiguous().unwrap();
    let cut = cut.reshape((n, 3, side * side, patch * patch)).unwrap().permute((0, 2, 1, 3)).unwrap();
    cut.contiguous().unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Our normalized pixels as gray levels.
fn levels(pixels: &Tensor) -> Vec<u8> {
    numbers(pixels).iter().map(|value| (value * 127.5 + 127.5).round() as u8).collect()
}

/// Media through plan, prepare, encode and project.
struct Seen {
    plan: MediaPlan,
    patches: Patches,
    features: Features,
    tokens: Tensor,
}

fn see(model: &OneVision, plan: MediaPlan, frames: &[Frame]) -> Seen {
    let patches = model.processor.prepare(&plan, frames, &mut PrepareState::default()).unwrap();
    let features = model.encode(&plan, &patches).unwrap();
    let tokens = model.project(&plan, &features, 0, None).unwrap();
    Seen { plan, patches, features, tokens }
}

fn plan_of(model: &OneVision, frames: &[Frame], kind: MediaKind, settings: Settings) -> MediaPlan {
    let options = PlanOptions { settings, ..PlanOptions::default() };
    model.processor.plan(&[], &[metadata(frames, kind)], &options).unwrap().remove(0)
}
