//! Against goldens of the authors' own code at toy size (`reference/make_llama_vid_toy.py`), and what the facts of the
//! published checkpoints say.

mod arithmetic;
mod goldens;
mod planning;
mod prompts;
mod published;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use zoetrope_media::{Frame, Time};

use super::*;
use crate::contract::features::PrepareState;
use crate::contract::media_plan::{Caption, MediaMetadata, PlanOptions};
use crate::contract::prompt::{GenerationPrompt, Message, MessagePart, Prompt, PromptToken, Role};
use crate::contract::settings::Settings;
use crate::families::golden_frames;
use crate::weights::{Archive, LoadOptions, Origin};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/llama_vid")
}

fn checkpoint() -> Checkpoint {
    Checkpoint::Folder(golden().join("toy"))
}

fn tensors(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(golden().join(name).with_extension("safetensors"), &Device::Cpu).unwrap()
}

fn json() -> Value {
    serde_json::from_slice(&std::fs::read(golden().join("goldens.json")).unwrap()).unwrap()
}

fn open(checkpoint: &Checkpoint, options: LoadOptions) -> LlamaVid {
    let archive = Archive::open(checkpoint, &names::tables(checkpoint).unwrap()).unwrap();
    LlamaVid::load(checkpoint, Weights::open(vec![archive], options).unwrap()).unwrap()
}

fn toy() -> LlamaVid {
    open(&checkpoint(), LoadOptions::cpu(DType::F32))
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Ours may differ from the reference by four times the reference's own f32 rounding (`noise`, its largest distance
/// from an f64 run): two independent roundings of that size, and room for the largest of thousands of values.
fn close(what: &str, ours: &Tensor, theirs: &Tensor, noise: &Value) {
    assert_eq!(ours.elem_count(), theirs.elem_count(), "{what}: {:?}, {:?}", ours.dims(), theirs.dims());
    let bound = 4.0 * noise.as_f64().unwrap_or_else(|| panic!("no noise is known of {what}"));
    let worst = numbers(ours).iter().zip(numbers(theirs)).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    assert!(worst <= bound, "{what}: off by {worst}, allowed {bound}");
}

/// A golden case as a request.
struct Case {
    messages: Vec<Message>,
    metadata: MediaMetadata,
    frames: Vec<Frame>,
    options: PlanOptions,
}

/// Frames of a golden file, two a second.
fn frames_of(raw: &Tensor) -> Vec<Frame> {
    golden_frames::frames_of(raw, 2)
}

fn ask(question: &str) -> Message {
    Message { role: Role::User, parts: vec![MessagePart::Media(0), MessagePart::Text(question.to_string())] }
}

/// The golden case `name` of a picture or of a clip at two frames per second.
fn case(name: &str, goldens: &Value) -> Case {
    let raw = tensors("cases");
    let frames = frames_of(&raw[if matches!(name, "image" | "chat") { "raw.still" } else { "raw.clip" }]);
    let size = (frames[0].image.width, frames[0].image.height);
    let mut metadata = match frames.len() {
        1 => MediaMetadata::picture(size),
        n => MediaMetadata::video(size, frames.iter().map(|frame| frame.time).collect::<Vec<_>>(), n as f64 / 2.0),
    };
    for caption in goldens["captions"].as_array().unwrap() {
        let (start, end) = (caption[0].as_f64().unwrap(), caption[1].as_f64().unwrap());
        metadata.captions.push(Caption { start, end, text: caption[2].as_str().unwrap().to_string() });
    }
    let settings = match name {
        "video" => Settings::default().with("film", "off").with("template", "llava_v1"),
        "part" => Settings::default().with("film", "part"),
        _ => Settings::default(),
    };
    let messages = match name {
        "chat" => {
            let said = |role, text: &str| Message::text(role, text);
            let second = said(Role::User, "And the man's?");
            let replies = [said(Role::Assistant, "A box."), said(Role::Assistant, "Red, 3.")];
            let [first, last] = replies;
            vec![ask("What is it?"), first, second, last, said(Role::User, "Where?")]
        }
        "part" => vec![ask("Who speaks here?")],
        _ => vec![ask(goldens["cases"][name]["question"].as_str().unwrap())],
    };
    Case { messages, metadata, frames, options: PlanOptions { settings, ..PlanOptions::default() } }
}

/// What our path makes of a case.
struct Run {
    patches: Patches,
    features: Features,
    visual: Tensor,
    prompt: Prompt,
}

impl Case {
    fn run(&self, model: &LlamaVid) -> Run {
        let processor = &model.processor;
        let plan = processor.plan(&[], std::slice::from_ref(&self.metadata), &self.options).unwrap().remove(0);
        let frames: Vec<Frame> = plan.frames.iter().map(|planned| self.frames[planned.index].clone()).collect();
        let patches = processor.prepare(&plan, &frames, &mut PrepareState::default()).unwrap();
        let features = model.encode(&plan, &patches).unwrap();
        let placements = processor.placements(&self.messages, 1).unwrap();
        let visual = model.project(&plan, &features, 0, placements[0].instruction.as_deref()).unwrap();
        let spans = vec![processor.visual_spans(&plan, Some(&features.per_unit))];
        let plans = std::slice::from_ref(&plan);
        let prompt = processor.prompt(&self.messages, plans, &spans, GenerationPrompt::Reply("")).unwrap();
        Run { patches, features, visual, prompt }
    }
}

/// Ids with -200 for every visual token.
fn ids(prompt: &Prompt) -> Vec<i64> {
    let id = |token: &PromptToken| if let PromptToken::Text(id) = *token { i64::from(id) } else { -200 };
    prompt.tokens.iter().map(id).collect()
}
