//! Against goldens of transformers and of a transcription of the authors' code; `reference/NOTES.md` says how they were
//! made.

mod arithmetic;
mod gguf;
mod kept_alone;
mod kv_cache;
mod original;
mod packed;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use zoetrope_kernels::gemm::WeightType;
use zoetrope_media::{Frame, Time};

use super::config::{Convention, PixelRange, ProcessorConfig};
use super::*;
use crate::contract::embed;
use crate::contract::features::PrepareState;
use crate::contract::media_plan::{MediaKind, MediaMetadata, PlanOptions, PlannedFrame, View};
use crate::contract::prompt::{GenerationPrompt, Message, MessagePart, Prompt, PromptToken, Role, VisualSpan};
use crate::contract::settings::Settings;
use crate::error::ModelError;
use crate::families::golden_frames;
use crate::kv::{BLOCK, KvCache, KvDtype, SequenceRun};
use crate::layers::DecoderConfig;
use crate::weights::{Archive, LoadOptions, Origin, Precision};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/videollama3")
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

fn open_as(checkpoint: &Checkpoint, options: LoadOptions) -> Result<VideoLlama3, ModelError> {
    let archive = Archive::open(checkpoint, &names::tables())?;
    VideoLlama3::load(checkpoint, Weights::open(vec![archive], options)?)
}

fn toy() -> VideoLlama3 {
    open_as(&checkpoint("toy-hf"), LoadOptions::cpu(DType::F32)).unwrap()
}

/// The toy with variables in the place of its weights.
fn trainable() -> VideoLlama3 {
    let tensors = candle_core::safetensors::load(golden().join("toy-hf/model.safetensors"), &Device::Cpu).unwrap();
    let weights = Weights::open(vec![Archive::memory(tensors)], LoadOptions::training()).unwrap();
    VideoLlama3::load(&checkpoint("toy-hf"), weights).unwrap()
}

fn language(model: &VideoLlama3) -> DecoderConfig {
    let _ = model;
    Config::load(&checkpoint("toy-hf")).unwrap().language
}

/// Logits of `rows` of a whole sequence without a cache.
fn logits_of(model: &VideoLlama3, x_td: &Tensor, rows: &[usize]) -> Tensor {
    let t = x_td.dim(0).unwrap();
    model.forward(x_td, &positions(0..t), &mut KvContext::Varlen(&[t]), rows).unwrap()
}

fn positions(range: std::ops::Range<usize>) -> Vec<Position> {
    range.map(|id| Position::text(id as u32)).collect()
}

/// One sequence in a cache of its own.
struct Cached {
    cache: KvCache,
    blocks: Vec<u32>,
    len: usize,
}

impl Cached {
    fn new(model: &VideoLlama3, capacity: usize) -> Self {
        let (kv, dtype) = (model.processor.info().kv, model.weights.kv_dtype());
        let blocks = capacity.div_ceil(BLOCK);
        let cache = KvCache::new(kv, blocks, dtype, &Device::Cpu).unwrap();
        Cached { cache, blocks: (0..blocks as u32).rev().collect(), len: 0 }
    }

    /// Logits of `rows` of the next rows `x`.
    fn forward(&mut self, model: &VideoLlama3, x_td: &Tensor, rows: &[usize]) -> Tensor {
        let (past, new) = (self.len, x_td.dim(0).unwrap());
        let runs = [SequenceRun { past, new, blocks: &self.blocks }];
        let mut context = KvContext::Paged { cache: &mut self.cache, runs: &runs };
        self.len += new;
        model.forward(x_td, &positions(past..past + new), &mut context, rows).unwrap()
    }
}

/// Token ids, with the placeholder's id in the place of visual tokens.
fn ids_with_placeholders(prompt: &Prompt, media: &[MediaKind], config: &Config) -> Vec<u32> {
    let id = |token: &PromptToken| match *token {
        PromptToken::Text(id) => id,
        PromptToken::Visual { placement, .. } => match media[placement as usize] {
            MediaKind::Image => config.image_token,
            MediaKind::Video => config.video_token,
        },
    };
    prompt.tokens.iter().map(id).collect()
}

/// One picture or video of a golden request with the frames it is given.
struct Given {
    metadata: MediaMetadata,
    frames: Vec<Frame>,
    times: Vec<f64>,
}

/// Frames of a golden file, one a second.
fn frames_of(raw: &Tensor) -> Vec<Frame> {
    golden_frames::frames_of(raw, 1)
}

fn given(raw: &Tensor, kind: MediaKind, prompt_times: Vec<f64>) -> Given {
    let frames = frames_of(raw);
    let image = &frames[0].image;
    let times: Vec<Time> = (0..frames.len()).map(|i| Time::new(i as i64, 1)).collect();
    let metadata = match kind {
        MediaKind::Image => MediaMetadata::picture((image.width, image.height)),
        MediaKind::Video => MediaMetadata::video((image.width, image.height), times, frames.len() as f64),
    };
    Given { metadata, frames, times: prompt_times }
}

/// The request of a golden case: messages and media in order of appearance.
fn request(case: &Value, raw: &HashMap<String, Tensor>) -> (Vec<Message>, Vec<Given>) {
    let (mut images, mut videos) = (0, 0);
    let (mut messages, mut media) = (Vec::new(), Vec::new());
    for message in case["messages"].as_array().unwrap() {
        let role = if message["role"] == "system" { Role::System } else { Role::User };
        let mut parts = Vec::new();
        if let Some(text) = message["content"].as_str() {
            parts.push(MessagePart::Text(text.to_string()));
        }
        for part in message["content"].as_array().into_iter().flatten() {
            match part["type"].as_str().unwrap() {
                "text" => parts.push(MessagePart::Text(part["text"].as_str().unwrap().to_string())),
                "image" => {
                    let name = case["images"][images].as_str().unwrap();
                    images += 1;
                    parts.push(MessagePart::Media(media.len()));
                    media.push(given(&raw[&format!("raw.{name}")], MediaKind::Image, vec![0.0]));
                }
                _ => {
                    let video = &case["videos"][videos];
                    videos += 1;
                    let times = video["timestamps"].as_array().unwrap().iter().map(|t| t.as_f64().unwrap()).collect();
                    parts.push(MessagePart::Media(media.len()));
                    let name = format!("raw.{}", video["raw"].as_str().unwrap());
                    media.push(given(&raw[&name], MediaKind::Video, times));
                }
            }
        }
        messages.push(Message { role, parts });
    }
    (messages, media)
}

/// A golden case through our whole path: plan, prepare, encode, project, prompt, embed.
struct Run {
    prompt: Prompt,
    kinds: Vec<MediaKind>,
    plans: Vec<MediaPlan>,
    patches: Vec<Patches>,
    visual: Vec<Tensor>,
    embedded: Tensor,
}

impl Run {
    fn of_kind(&self, kind: MediaKind) -> Vec<usize> {
        (0..self.kinds.len()).filter(|&i| self.kinds[i] == kind).collect()
    }
}

fn run(model: &VideoLlama3, case: &Value) -> Run {
    let raw = tensors("processor");
    let (messages, media) = request(case, &raw);
    let metadata: Vec<MediaMetadata> = media.iter().map(|m| m.metadata.clone()).collect();
    // The golden videos were given as frames: all of them, at the times that the golden's metadata said.
    let options = PlanOptions { fps: Some(1.0), ..PlanOptions::default() };
    let mut plans = model.processor.plan(&[], &metadata, &options).unwrap();
    for (plan, given) in plans.iter_mut().zip(&media) {
        assert_eq!(plan.frames.len(), given.frames.len());
        let frame =
            |(index, time): (usize, &f64)| PlannedFrame { index, time: *time, source_time: *time, prompt_time: *time };
        plan.frames = given.times.iter().enumerate().map(frame).collect();
    }
    let (mut patches, mut visual, mut spans) = (Vec::new(), Vec::new(), Vec::new());
    for (plan, given) in plans.iter().zip(&media) {
        let ready = model.processor.prepare(plan, &given.frames, &mut PrepareState::default()).unwrap();
        let features = model.encode(plan, &ready).unwrap();
        visual.push(model.project(plan, &features, 0, None).unwrap());
        spans.push(model.processor.visual_spans(plan, Some(&features.per_unit)));
        patches.push(ready);
    }
    let prompt = model.processor.prompt(&messages, &plans, &spans, GenerationPrompt::Reply("")).unwrap();
    let embedded = embed(model, &prompt.tokens, &visual).unwrap();
    Run { prompt, kinds: plans.iter().map(|plan| plan.kind).collect(), plans, patches, visual, embedded }
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Ours may differ from the reference by four times the reference's own f32 rounding (`noise`, its largest distance
/// from an f64 run): two independent roundings of that size, and room for the largest of thousands of values.
fn close(what: &str, ours: &Tensor, theirs: &Tensor, noise: &Value) {
    assert_eq!(ours.dims(), theirs.dims(), "{what}");
    let bound = 4.0 * noise.as_f64().unwrap_or_else(|| panic!("no noise is known of {what}"));
    let worst = numbers(ours).iter().zip(numbers(theirs)).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    assert!(worst <= bound, "{what}: off by {worst}, allowed {bound}");
}

const CASES: [&str; 4] = ["image", "video", "mixed", "text"];

#[test]
fn prompts_and_placeholders_match_transformers() {
    let (model, cases) = (toy(), json("goldens.json"));
    let config = Config::load(&checkpoint("toy-hf")).unwrap();
    for name in CASES {
        let run = run(&model, &cases["cases"][name]);
        let want: Vec<u32> = tensors(name)["input_ids"].to_vec1::<i64>().unwrap().iter().map(|&i| i as u32).collect();
        assert_eq!(ids_with_placeholders(&run.prompt, &run.kinds, &config), want, "{name}");
        assert_eq!(run.prompt.positions, positions(0..want.len()));
    }
}

/// The mask of all tokens of some media: what pruning keeps.
fn keep_mask(run: &Run, media: &[usize]) -> Vec<u8> {
    let units = media.iter().flat_map(|&i| &run.patches[i].units);
    units.flat_map(|unit| unit.keep.clone().unwrap().into_iter().map(u8::from)).collect()
}

#[test]
fn visual_tokens_and_logits_match_transformers() {
    let (model, cases) = (toy(), json("goldens.json"));
    for name in CASES {
        let (run, want) = (run(&model, &cases["cases"][name]), tensors(name));
        let noise = &cases["cases"][name]["f32_noise"];
        for (kind, prefix) in [(MediaKind::Image, "image"), (MediaKind::Video, "video")] {
            let of_kind = run.of_kind(kind);
            if of_kind.is_empty() {
                continue;
            }
            let encoded: Vec<Tensor> =
                of_kind.iter().map(|&i| model.encode_patches(&run.plans[i], &run.patches[i]).unwrap()).collect();
            let merge = |(&i, e): (&usize, &Tensor)| merge_tokens(e, planning::merge(&run.plans[i])).unwrap();
            let merged: Vec<Tensor> = of_kind.iter().zip(&encoded).map(merge).collect();
            let stage = |what: &str| format!("{prefix}.{what}");
            for (what, ours) in [("encoder", encoded), ("merged", merged)] {
                close(what, &Tensor::cat(&ours, 0).unwrap(), &want[&stage(what)], &noise[stage(what)]);
            }
            let mut theirs = want[&format!("{prefix}.visual_tokens")].clone();
            if kind == MediaKind::Video {
                let keep = want["video_compression_mask"].to_vec1::<u8>().unwrap();
                assert_eq!(keep_mask(&run, &of_kind), keep, "{name} pruning");
                let kept: Vec<u32> = (0..keep.len()).filter(|&i| keep[i] == 1).map(|i| i as u32).collect();
                theirs = theirs.index_select(&Tensor::new(kept, &Device::Cpu).unwrap(), 0).unwrap();
            }
            let ours: Vec<Tensor> = of_kind.iter().map(|&i| run.visual[i].clone()).collect();
            close(name, &Tensor::cat(&ours, 0).unwrap(), &theirs, &noise[stage("visual_tokens")]);
        }
        close(name, &run.embedded, &want["inputs_embeds"], &noise["inputs_embeds"]);
        let rows: Vec<usize> = (0..run.prompt.tokens.len()).collect();
        close(name, &logits_of(&model, &run.embedded, &rows), &want["logits"], &noise["logits"]);
    }
}

#[test]
fn greedy_continuation_is_identical_for_64_tokens() {
    let (model, cases) = (toy(), json("goldens.json"));
    for name in CASES {
        let (run, want) = (run(&model, &cases["cases"][name]), tensors(name));
        let theirs: Vec<u32> = want["greedy_ids"].to_vec1::<i64>().unwrap().iter().map(|&i| i as u32).collect();
        let mut cached = Cached::new(&model, run.prompt.tokens.len() + 64);
        let (mut x, mut ids, mut all) = (run.embedded.clone(), Vec::new(), Vec::new());
        for _ in 0..64 {
            let last = x.dim(0).unwrap() - 1;
            let logits = cached.forward(&model, &x, &[last]);
            let id = logits.argmax(1).unwrap().to_vec1::<u32>().unwrap()[0];
            all.push(logits);
            ids.push(id);
            // A visual placeholder that the toy happens to say is ordinary text to the decoder.
            x = model.embed_tokens(&[id]).unwrap();
        }
        assert_eq!(ids, theirs, "{name}");
        // The continuation is the same arithmetic on a longer sequence, so its rounding is that of the prompt's logits.
        let noise = &cases["cases"][name]["f32_noise"]["logits"];
        close(name, &Tensor::cat(&all, 0).unwrap(), &want["greedy_logits"], noise);
    }
}

/// A prompt in parts, of which only the last gives logits, and one of its rows alone.
#[test]
fn rows_without_logits_are_left_out_of_the_last_layer_only() {
    let (model, cases) = (toy(), json("goldens.json"));
    let run = run(&model, &cases["cases"]["mixed"]);
    let t = run.prompt.tokens.len();
    let mut cached = Cached::new(&model, t);
    let mut part =
        |from: usize, n: usize, rows: &[usize]| cached.forward(&model, &run.embedded.narrow(0, from, n).unwrap(), rows);
    assert_eq!(part(0, t - 9, &[]).dims(), [0, language(&model).vocabulary]);
    let last = part(t - 9, 9, &[4, 8]);
    let want = logits_of(&model, &run.embedded, &[t - 5, t - 1]);
    let noise = &cases["cases"]["mixed"]["f32_noise"]["logits"];
    close("mixed", &last, &want, noise);
}

#[test]
fn gradients_match_transformers() {
    let (model, cases) = (trainable(), json("goldens.json"));
    let (run, want) = (run(&model, &cases["cases"]["mixed"]), tensors("gradients"));
    let labels = want["labels"].to_vec1::<i64>().unwrap();
    let targets: Vec<usize> = (1..labels.len()).filter(|&i| labels[i] >= 0).collect();
    let rows: Vec<usize> = targets.iter().map(|i| i - 1).collect();
    let logits = logits_of(&model, &run.embedded, &rows);
    let log_sum = logits.exp().unwrap().sum_keepdim(1).unwrap().log().unwrap();
    let ids: Vec<u32> = targets.iter().map(|&i| labels[i] as u32).collect();
    let ids = Tensor::from_slice(&ids, (ids.len(), 1), &Device::Cpu).unwrap();
    let loss = (log_sum - logits.gather(&ids, 1).unwrap()).unwrap().mean_all().unwrap();
    let theirs = cases["gradients"]["loss"].as_f64().unwrap();
    let ours = f64::from(loss.to_scalar::<f32>().unwrap());
    assert!((ours - theirs).abs() < 1e-5, "loss {ours}, {theirs}");
    let store = loss.backward().unwrap();
    let variables = model.weights.variables();
    let mut compared = 0;
    for (name, theirs) in want.iter().filter(|(name, _)| *name != "labels") {
        // A key bias moves every score of a row alike, so its true gradient is zero; it is not among the goldens.
        close(name, store.get(&variables[name]).unwrap(), theirs, &cases["gradients"]["f32_noise"][name]);
        compared += 1;
    }
    assert!(compared >= 20, "only {compared} gradients were compared");
}
