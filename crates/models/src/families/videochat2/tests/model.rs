//! Pixels, features, visual tokens, logits, gradients and continuations against the authors' code.

use candle_core::{DType, Tensor};

use super::*;
use crate::contract::embed;
use crate::contract::features::PrepareState;
use crate::contract::prompt::{GenerationPrompt, Message, MessagePart, Prompt, PromptToken, Role};

/// Pixels are computed in floats by the reference as well: a few roundings of values up to 2.7 and of weights of
/// bicubic sums of 16 values up to 255 / 255 / 0.22 each.
const PIXEL: f64 = 2e-5;

fn every(rows: usize, t: &Tensor) -> Tensor {
    let n = t.dim(0).unwrap();
    let chosen: Vec<u32> = (0..n as u32).step_by(rows).collect();
    t.index_select(&Tensor::from_slice(&chosen, chosen.len(), &Device::Cpu).unwrap(), 0).unwrap()
}

fn patches_of(processor: &dyn Processor, plan: &MediaPlan, frames: &[Frame]) -> Patches {
    processor.prepare(plan, frames, &mut PrepareState::default()).unwrap()
}

#[test]
fn pixels_of_tiles_and_of_the_whole_are_those_of_torch() {
    let (model, want) = (toy(LoadOptions::cpu(DType::F32)), tensors("processor"));
    for (name, kind, step) in [("video", MediaKind::Video, 7), ("image", MediaKind::Image, 1)] {
        let frames = frames_of(&want[&format!("raw.{name}")]);
        let plan = plan_of(&*model.processor, &frames, kind);
        let ours = every(step, &patches_of(&*model.processor, &plan, &frames).pixels);
        let off = worst(&ours, &want[&format!("pixels.{name}")]);
        assert!(off <= PIXEL, "{name}: off by {off}");
    }
}

#[test]
fn pixels_without_tiles_are_those_of_pillow() {
    let want = tensors("processor");
    let processor = processor_of(&plain_config("VideoChat2_it_mistral"));
    let frames = &frames_of(&want["raw.video"])[..3];
    let plan = plan_of(&processor, frames, MediaKind::Video);
    let off = worst(&patches_of(&processor, &plan, frames).pixels, &want["pixels.plain"]);
    assert!(off <= 1e-6, "off by {off}: bytes are the same, normalizing rounds");
}

/// A golden case through our whole path.
struct Run {
    prompt: Prompt,
    features: Tensor,
    visual: Tensor,
    embedded: Tensor,
}

fn run(model: &VideoChat2, case: &str) -> Run {
    let (raw, goldens) = (tensors("processor"), goldens());
    let kind = if case == "image" { MediaKind::Image } else { MediaKind::Video };
    let mut frames = frames_of(&raw[if kind == MediaKind::Image { "raw.image" } else { "raw.video" }]);
    if case == "plain" {
        frames.truncate(3);
    }
    let plan = plan_of(&*model.processor, &frames, kind);
    let features = model.encode(&plan, &patches_of(&*model.processor, &plan, &frames)).unwrap();
    let (system, question, begin) = match case {
        "video" => (goldens["system"].as_str(), goldens["prompts"]["question"].as_str().unwrap(), "Best option:("),
        _ => (None, "What moves?", ""),
    };
    let asked =
        Message { role: Role::User, parts: vec![MessagePart::Media(0), MessagePart::Text(question.to_string())] };
    let messages: Vec<Message> =
        system.map(|system| Message::text(Role::System, system)).into_iter().chain([asked]).collect();
    let placement = model.processor.placements(&messages, 1).unwrap().remove(0);
    let visual = model.project(&plan, &features, 0, placement.instruction.as_deref()).unwrap();
    let spans = vec![model.processor.visual_spans(&plan, Some(&features.per_unit))];
    let prompt = model.processor.prompt(&messages, &[plan], &spans, GenerationPrompt::Reply(begin)).unwrap();
    let embedded = embed(model, &prompt.tokens, std::slice::from_ref(&visual)).unwrap();
    Run { prompt, features: features.rows, visual, embedded }
}

fn logits_of(model: &VideoChat2, x_td: &Tensor, rows: &[usize]) -> Tensor {
    let t = x_td.dim(0).unwrap();
    let positions: Vec<Position> = (0..t as u32).map(Position::text).collect();
    model.forward(x_td, &positions, &mut KvContext::Varlen(&[t]), rows).unwrap()
}

/// The toy without tiles, of the same weights.
fn plain_toy() -> VideoChat2 {
    let with_tiles = toy(LoadOptions::training());
    let own = with_tiles.weights.variables().into_iter().map(|(name, variable)| (name, variable.as_detached_tensor()));
    let weights = Weights::open(vec![Archive::memory(own.collect())], LoadOptions::cpu(DType::F32)).unwrap();
    let folder = folder_with(&plain_config("VideoChat2_it_mistral"));
    VideoChat2::load(&Checkpoint::from(folder.path()), weights).unwrap()
}

fn model_of(case: &str) -> VideoChat2 {
    if case == "plain" { plain_toy() } else { toy(LoadOptions::cpu(DType::F32)) }
}

const CASES: [&str; 3] = ["video", "image", "plain"];

#[test]
fn features_visual_tokens_and_logits_match_the_authors_code() {
    let goldens = goldens();
    for case in CASES {
        let model = model_of(case);
        let (run, want, noise) = (run(&model, case), tensors(case), &goldens["f32_noise"][case]);
        close(&format!("{case} features"), &run.features, &want["features"], &noise["features"]);
        close(&format!("{case} visual tokens"), &run.visual, &want["visual_tokens"], &noise["visual_tokens"]);
        close(&format!("{case} embedded"), &run.embedded, &want["inputs_embeds"], &noise["inputs_embeds"]);
        let rows: Vec<usize> = (0..run.prompt.tokens.len()).step_by(5).collect();
        let logits = logits_of(&model, &run.embedded, &rows);
        close(&format!("{case} logits"), &logits, &want["logits"], &noise["logits"]);
    }
}

#[test]
fn greedy_continuation_is_identical_for_64_tokens() {
    let goldens = goldens();
    for case in CASES {
        let model = model_of(case);
        let (run, want) = (run(&model, case), tensors(case));
        let theirs: Vec<u32> = want["greedy_ids"].to_vec1::<i64>().unwrap().iter().map(|&id| id as u32).collect();
        let (mut x, mut ids, mut rows) = (run.embedded, Vec::new(), Vec::new());
        for step in 0..theirs.len() {
            let last = x.dim(0).unwrap() - 1;
            let logits = logits_of(&model, &x, &[last]);
            let id = logits.argmax(1).unwrap().to_vec1::<u32>().unwrap()[0];
            if step % 9 == 0 {
                rows.push(logits);
            }
            ids.push(id);
            x = Tensor::cat(&[&x, &model.embed_tokens(&[id]).unwrap()], 0).unwrap();
        }
        assert_eq!(ids, theirs, "{case}");
        let noise = &goldens["f32_noise"][case]["logits"];
        close(case, &Tensor::cat(&rows, 0).unwrap(), &want["greedy_logits"], noise);
    }
}

#[test]
fn gradients_match_the_authors_code() {
    let (goldens, want) = (goldens(), tensors("gradients"));
    let model = toy(LoadOptions::training());
    let run = run(&model, "video");
    // The loss is that of all text behind the visual tokens.
    let visual = |token: &PromptToken| matches!(token, PromptToken::Visual { .. });
    let first = run.prompt.tokens.iter().rposition(visual).unwrap();
    let id = |token: &PromptToken| if let PromptToken::Text(id) = token { *id } else { panic!("a visual token") };
    let ids: Vec<u32> = run.prompt.tokens[first + 1..].iter().map(id).collect();
    let rows: Vec<usize> = (first..first + ids.len()).collect();
    let logits = logits_of(&model, &run.embedded, &rows);
    let log_sum = logits.exp().unwrap().sum_keepdim(1).unwrap().log().unwrap();
    let ids = Tensor::from_slice(&ids, (ids.len(), 1), &Device::Cpu).unwrap();
    let loss = (log_sum - logits.gather(&ids, 1).unwrap()).unwrap().mean_all().unwrap();
    let theirs = f64::from(want["loss"].to_vec1::<f32>().unwrap()[0]);
    let ours = f64::from(loss.to_scalar::<f32>().unwrap());
    assert!((ours - theirs).abs() < 1e-5, "loss {ours}, {theirs}");
    let (store, variables) = (loss.backward().unwrap(), model.weights.variables());
    let mut compared = 0;
    for (name, theirs) in want.iter().filter(|(name, _)| *name != "loss") {
        close(name, store.get(&variables[name]).unwrap(), theirs, &goldens["f32_noise"]["gradients"][name]);
        compared += 1;
    }
    assert!(compared >= 10, "only {compared} gradients were compared");
}
