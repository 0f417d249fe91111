//! Against goldens of transformers and of a transcription of the authors' code; `reference/NOTES.md` says how they were
//! made.

mod arithmetic;
mod gguf;
mod kv_cache;
mod original;
mod packed;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use zoetrope_media::{Frame, Rgb, Time};

use super::*;
use crate::contract::{MediaKind, Part, PlannedFrame, Role};
use crate::parts::precision::Precision;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/families/videollama3/golden")
}

fn tensors(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(golden().join(name).with_extension("safetensors"), &Device::Cpu).unwrap()
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden().join(name)).unwrap()).unwrap()
}

fn toy() -> VideoLlama3 {
    VideoLlama3::open(&golden().join("toy-hf"), DType::F32, &Device::Cpu).unwrap()
}

/// The toy with variables in the place of its weights.
fn trainable() -> VideoLlama3 {
    let folder = golden().join("toy-hf");
    let tensors = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap();
    let weights = Weights::trainable(tensors, &Device::Cpu);
    VideoLlama3::load(&folder, Config::load(&folder).unwrap(), weights, "toy").unwrap()
}

/// One picture or video of a golden request with the frames it is given.
struct Given {
    source: Source,
    frames: Vec<Frame>,
    stamps: Vec<f64>,
}

fn frames_of(raw: &Tensor) -> Vec<Frame> {
    let raw = if raw.rank() == 3 { raw.unsqueeze(0).unwrap() } else { raw.clone() };
    let (n, height, width, _) = raw.dims4().unwrap();
    let frame = |index: usize| Frame {
        index,
        time: Time::new(index as i64, 1),
        image: Rgb {
            width: width as u32,
            height: height as u32,
            data: raw.get(index).unwrap().flatten_all().unwrap().to_vec1::<u8>().unwrap(),
        },
    };
    (0..n).map(frame).collect()
}

fn given(raw: &Tensor, kind: MediaKind, stamps: Vec<f64>) -> Given {
    let frames = frames_of(raw);
    let image = &frames[0].image;
    let times = (0..frames.len()).map(|i| Time::new(i as i64, 1)).collect();
    let source = Source { kind, width: image.width, height: image.height, times, end: frames.len() as f64 };
    Given { source, frames, stamps }
}

/// The request of a golden case: messages and media in order of appearance.
fn request(case: &Value, raw: &HashMap<String, Tensor>) -> (Vec<Message>, Vec<Given>) {
    let (mut images, mut videos) = (0, 0);
    let (mut messages, mut media) = (Vec::new(), Vec::new());
    for message in case["messages"].as_array().unwrap() {
        let role = if message["role"] == "system" { Role::System } else { Role::User };
        let mut parts = Vec::new();
        if let Some(text) = message["content"].as_str() {
            parts.push(Part::Text(text.to_string()));
        }
        for part in message["content"].as_array().into_iter().flatten() {
            match part["type"].as_str().unwrap() {
                "text" => parts.push(Part::Text(part["text"].as_str().unwrap().to_string())),
                "image" => {
                    let name = case["images"][images].as_str().unwrap();
                    images += 1;
                    parts.push(Part::Media(media.len()));
                    media.push(given(&raw[&format!("raw.{name}")], MediaKind::Image, vec![0.0]));
                }
                _ => {
                    let video = &case["videos"][videos];
                    videos += 1;
                    let stamps = video["timestamps"].as_array().unwrap().iter().map(|t| t.as_f64().unwrap()).collect();
                    parts.push(Part::Media(media.len()));
                    let name = format!("raw.{}", video["raw"].as_str().unwrap());
                    media.push(given(&raw[&name], MediaKind::Video, stamps));
                }
            }
        }
        messages.push(Message { role, parts });
    }
    (messages, media)
}

/// A golden case through our whole path: plan, prepare, see, prompt, embed.
struct Run {
    prompt: Prompt,
    patches: Vec<(MediaKind, Patches)>,
    visual: Vec<Tensor>,
    embedded: Tensor,
}

fn run(model: &VideoLlama3, case: &Value) -> Run {
    let raw = tensors("processor");
    let (messages, media) = request(case, &raw);
    let sources: Vec<Source> = media.iter().map(|m| m.source.clone()).collect();
    // The golden videos were given as frames: all of them, stamped as the metadata said.
    let options = PlanOptions { fps: Some(1.0), ..PlanOptions::default() };
    let mut plan = model.plan(&sources, &options).unwrap();
    for (item, given) in plan.items.iter_mut().zip(&media) {
        assert_eq!(item.frames.len(), given.frames.len());
        let stamp = |(index, stamp): (usize, &f64)| PlannedFrame { index, time: *stamp, stamp: *stamp };
        item.frames = given.stamps.iter().enumerate().map(stamp).collect();
    }
    let (mut patches, mut visual, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for (item, given) in plan.items.iter().zip(&media) {
        let ready = model.prepare(item, &given.frames, &mut Carry::default()).unwrap();
        let seen = model.see(&ready).unwrap();
        visual.push(seen.tokens);
        kept.push(seen.per_frame);
        patches.push((item.kind, ready));
    }
    let prompt = model.prompt(&messages, &plan, &kept, true).unwrap();
    let all = if visual.is_empty() { None } else { Some(Tensor::cat(&visual, 0).unwrap()) };
    let embedded = model.embed(&prompt, all.as_ref()).unwrap();
    Run { prompt, patches, visual, embedded }
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
    for name in CASES {
        let run = run(&model, &cases["cases"][name]);
        let want: Vec<u32> = tensors(name)["input_ids"].to_vec1::<i64>().unwrap().iter().map(|&i| i as u32).collect();
        assert_eq!(run.prompt.ids, want, "{name}");
    }
}

#[test]
fn visual_tokens_and_logits_match_transformers() {
    let (model, cases) = (toy(), json("goldens.json"));
    for name in CASES {
        let (run, want) = (run(&model, &cases["cases"][name]), tensors(name));
        let noise = &cases["cases"][name]["f32_noise"];
        for (kind, prefix) in [(MediaKind::Image, "image"), (MediaKind::Video, "video")] {
            let of_kind: Vec<usize> = (0..run.patches.len()).filter(|&i| run.patches[i].0 == kind).collect();
            if of_kind.is_empty() {
                continue;
            }
            let encoded: Vec<Tensor> = of_kind.iter().map(|&i| model.encode(&run.patches[i].1).unwrap()).collect();
            let merged: Vec<Tensor> =
                of_kind.iter().zip(&encoded).map(|(&i, e)| merge_tokens(e, run.patches[i].1.merge).unwrap()).collect();
            let stage = |what: &str| format!("{prefix}.{what}");
            for (what, ours) in [("encoder", encoded), ("merged", merged)] {
                close(what, &Tensor::cat(&ours, 0).unwrap(), &want[&stage(what)], &noise[stage(what)]);
            }
            let mut theirs = want[&format!("{prefix}.visual_tokens")].clone();
            if kind == MediaKind::Video {
                let keep = want["video_compression_mask"].to_vec1::<u8>().unwrap();
                let ours: Vec<u8> =
                    of_kind.iter().flat_map(|&i| run.patches[i].1.keep.iter().map(|&k| u8::from(k))).collect();
                assert_eq!(ours, keep, "{name} pruning");
                let kept: Vec<u32> = (0..keep.len()).filter(|&i| keep[i] == 1).map(|i| i as u32).collect();
                theirs = theirs.index_select(&Tensor::new(kept, &Device::Cpu).unwrap(), 0).unwrap();
            }
            let ours: Vec<Tensor> = of_kind.iter().map(|&i| run.visual[i].clone()).collect();
            close(name, &Tensor::cat(&ours, 0).unwrap(), &theirs, &noise[stage("visual_tokens")]);
        }
        close(name, &run.embedded, &want["inputs_embeds"], &noise["inputs_embeds"]);
        let t = run.prompt.ids.len();
        let rows: Vec<usize> = (0..t).collect();
        let logits = model.step(&run.embedded, &mut Memory::Packed(&[t]), &rows).unwrap();
        close(name, &logits, &want["logits"], &noise["logits"]);
    }
}

#[test]
fn greedy_continuation_is_identical_for_64_tokens() {
    let (model, cases) = (toy(), json("goldens.json"));
    for name in CASES {
        let (run, want) = (run(&model, &cases["cases"][name]), tensors(name));
        let theirs: Vec<u32> = want["greedy_ids"].to_vec1::<i64>().unwrap().iter().map(|&i| i as u32).collect();
        let mut cache = model.new_cache(run.prompt.ids.len() + 64).unwrap();
        let (mut x, mut ids, mut all) = (run.embedded.clone(), Vec::new(), Vec::new());
        for _ in 0..64 {
            let last = x.dim(0).unwrap() - 1;
            let logits = model.step(&x, &mut Memory::Cache(&mut cache), &[last]).unwrap();
            let id = logits.argmax(1).unwrap().to_vec1::<u32>().unwrap()[0];
            all.push(logits);
            ids.push(id);
            let next = Prompt { ids: vec![id], ..Prompt::default() };
            // A visual placeholder that the toy happens to say is ordinary text to the decoder.
            x = model.embed(&next, None).unwrap();
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
    let t = run.prompt.ids.len();
    let mut cache = model.new_cache(t).unwrap();
    let mut part = |from: usize, n: usize, rows: &[usize]| {
        let x = run.embedded.narrow(0, from, n).unwrap();
        model.step(&x, &mut Memory::Cache(&mut cache), rows).unwrap()
    };
    assert_eq!(part(0, t - 9, &[]).dims(), [0, model.config().language.vocabulary]);
    let last = part(t - 9, 9, &[4, 8]);
    let want = model.step(&run.embedded, &mut Memory::Packed(&[t]), &[t - 5, t - 1]).unwrap();
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
    let logits = model.step(&run.embedded, &mut Memory::Packed(&[labels.len()]), &rows).unwrap();
    let log_sum = logits.exp().unwrap().sum_keepdim(1).unwrap().log().unwrap();
    let ids: Vec<u32> = targets.iter().map(|&i| labels[i] as u32).collect();
    let ids = Tensor::from_slice(&ids, (ids.len(), 1), &Device::Cpu).unwrap();
    let loss = (log_sum - logits.gather(&ids, 1).unwrap()).unwrap().mean_all().unwrap();
    let theirs = cases["gradients"]["loss"].as_f64().unwrap();
    let ours = f64::from(loss.to_scalar::<f32>().unwrap());
    assert!((ours - theirs).abs() < 1e-5, "loss {ours}, {theirs}");
    let store = loss.backward().unwrap();
    let variables = model.weights().variables();
    let mut compared = 0;
    for (name, theirs) in want.iter().filter(|(name, _)| *name != "labels") {
        // A key bias moves every score of a row alike, so its true gradient is zero; it is not among the goldens.
        close(name, store.get(&variables[name]).unwrap(), theirs, &cases["gradients"]["f32_noise"][name]);
        compared += 1;
    }
    assert!(compared >= 20, "only {compared} gradients were compared");
}
