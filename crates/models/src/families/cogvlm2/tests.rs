//! Against goldens that the authors' own code made (`reference/make_cogvlm2_toy.py`), and against published numbers.

mod goldens;
mod packed;
mod published;
mod sampling;
mod writing;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use zoetrope_media::{Frame, Time};

use super::*;
use crate::contract::media_plan::{MediaKind, MediaMetadata, PlanOptions};
use crate::contract::prompt::{Message, MessagePart, Prompt, PromptToken, Role};
use crate::contract::settings::Settings;
use crate::families::golden_frames;
use crate::weights::{Archive, LoadOptions};

/// The two kinds of checkpoints.
const KINDS: [&str; 2] = ["video", "image"];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cogvlm2")
}

fn checkpoint(kind: &str) -> Checkpoint {
    Checkpoint::Folder(golden().join(format!("toy-{kind}")))
}

fn tensors(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(golden().join(name).with_extension("safetensors"), &Device::Cpu).unwrap()
}

fn goldens() -> Value {
    serde_json::from_slice(&std::fs::read(golden().join("goldens.json")).unwrap()).unwrap()
}

fn open(kind: &str, options: LoadOptions) -> CogVlm2 {
    let checkpoint = checkpoint(kind);
    let archive = Archive::open(&checkpoint, &names::tables(&checkpoint).unwrap()).unwrap();
    CogVlm2::load(&checkpoint, Weights::open(vec![archive], options).unwrap()).unwrap()
}

fn processor(kind: &str) -> CogVlm2Processor {
    CogVlm2Processor::load(&checkpoint(kind)).unwrap()
}

/// Frames of a golden file, one a second.
fn frames_of(raw: &Tensor) -> Vec<Frame> {
    golden_frames::frames_of(raw, 1)
}

/// What is known of frames that come one a second; one frame is a picture.
fn metadata_of(frames: &[Frame], kind: MediaKind) -> MediaMetadata {
    let size = (frames[0].image.width, frames[0].image.height);
    let times: Vec<Time> = frames.iter().map(|frame| frame.time).collect();
    match kind {
        MediaKind::Image => MediaMetadata::picture(size),
        MediaKind::Video => MediaMetadata::video(size, times, frames.len() as f64),
    }
}

/// Options with one setting.
fn with(name: &str, value: &str) -> PlanOptions {
    PlanOptions { settings: Settings::default().with(name, value), ..PlanOptions::default() }
}

/// Messages, the first of which shows `media`.
fn messages_of(case: &Value, media: usize) -> Vec<Message> {
    let message = |(number, message): (usize, &Value)| {
        let role = if message["role"] == "user" { Role::User } else { Role::Assistant };
        let shown = (0..if number == 0 { media } else { 0 }).map(MessagePart::Media);
        let text = MessagePart::Text(message["content"].as_str().unwrap().to_string());
        Message { role, parts: shown.chain([text]).collect() }
    };
    case["messages"].as_array().unwrap().iter().enumerate().map(message).collect()
}

/// Token ids, with the placeholder in the place of visual tokens.
fn ids_of(prompt: &Prompt, placeholder: u32) -> Vec<u32> {
    let id = |token: &PromptToken| if let PromptToken::Text(id) = token { *id } else { placeholder };
    prompt.tokens.iter().map(id).collect()
}
