//! Pixels, features, visual tokens, logits, gradients and greedy tokens equal the authors' code's.

use super::*;
use crate::contract::embed;
use crate::contract::features::{Patches, PrepareState};
use crate::contract::media_plan::MediaPlan;
use crate::contract::prompt::GenerationPrompt;
use crate::kv::{BLOCK, KvCache, SequenceRun};
use crate::weights::Origin;

/// The cases of each kind, with media and without.
pub(super) const CASES: [(&str, &str); 5] =
    [("video", "chat"), ("video", "base"), ("image", "chat"), ("image", "vqa"), ("image", "text")];

/// A golden case through our whole path.
pub(super) struct Run {
    pub(super) prompt: Prompt,
    plans: Vec<MediaPlan>,
    patches: Vec<Patches>,
    features: Vec<Features>,
    visual: Vec<Tensor>,
    embedded: Tensor,
}

pub(super) fn run(model: &CogVlm2, kind: &str, name: &str) -> Run {
    let (want, cases) = (tensors(&format!("{kind}-{name}")), goldens());
    let case = &cases["cases"][format!("{kind}-{name}")];
    let processor = model.processor();
    let media_kind = if kind == "video" { MediaKind::Video } else { MediaKind::Image };
    let frames = want.get("raw").map(frames_of).unwrap_or_default();
    let media: Vec<MediaMetadata> = if frames.is_empty() { vec![] } else { vec![metadata_of(&frames, media_kind)] };
    let options = PlanOptions { fps: Some(1.0), ..with("template", case["template"].as_str().unwrap()) };
    let plans = processor.plan(&[], &media, &options).unwrap();
    let (mut patches, mut features, mut visual, mut spans) = (vec![], vec![], vec![], vec![]);
    for plan in &plans {
        assert_eq!(plan.frames.len(), frames.len(), "{kind}-{name}");
        let ready = processor.prepare(plan, &frames, &mut PrepareState::default()).unwrap();
        let seen = model.encode(plan, &ready).unwrap();
        visual.push(model.project(plan, &seen, 0, None).unwrap());
        spans.push(processor.visual_spans(plan, Some(&seen.per_unit)));
        patches.push(ready);
        features.push(seen);
    }
    let prompt =
        processor.prompt(&messages_of(case, plans.len()), &plans, &spans, GenerationPrompt::Reply("")).unwrap();
    let embedded = embed(model, &prompt.tokens, &visual).unwrap();
    Run { prompt, plans, patches, features, visual, embedded }
}

pub(super) fn numbers(t: &Tensor) -> Vec<f32> {
    t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn u32s(t: &Tensor) -> Vec<u32> {
    t.to_dtype(DType::U32).unwrap().to_vec1().unwrap()
}

/// Ours may differ by four times the reference's own f32 rounding (its largest distance from an f64 run): two
/// independent roundings of that size, and room for the largest of thousands of values.
fn close(what: &str, ours: &Tensor, theirs: &Tensor, noise: &Value) {
    assert_eq!(ours.dims(), theirs.dims(), "{what}");
    let bound = 4.0 * noise.as_f64().unwrap_or_else(|| panic!("no noise is known of {what}"));
    let worst = numbers(ours).iter().zip(numbers(theirs)).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    assert!(worst <= bound, "{what}: off by {worst}, allowed {bound}");
}

fn noise(kind: &str, name: &str) -> Value {
    goldens()["cases"][format!("{kind}-{name}")]["f32_noise"].clone()
}

pub(super) fn logits_of(model: &CogVlm2, run: &Run, rows: &[usize]) -> Tensor {
    let t = run.prompt.tokens.len();
    model.forward(&run.embedded, &run.prompt.positions, &mut KvContext::Varlen(&[t]), rows).unwrap()
}

#[test]
fn ids_positions_and_experts_are_the_authors() {
    for (kind, name) in CASES {
        let run = run(&open(kind, LoadOptions::cpu(DType::F32)), kind, name);
        let want = tensors(&format!("{kind}-{name}"));
        let placeholder = goldens_placeholder(kind);
        assert_eq!(ids_of(&run.prompt, placeholder), u32s(&want["input_ids"]), "{kind}-{name}");
        let ids: Vec<u32> = run.prompt.positions.iter().map(|position| position.id).collect();
        assert_eq!(ids, u32s(&want["position_ids"]), "{kind}-{name}");
        let experts: Vec<u32> = run.prompt.positions.iter().map(|position| u32::from(position.expert)).collect();
        let theirs = if kind == "image" { u32s(&want["vision_expert"]) } else { vec![0; experts.len()] };
        assert_eq!(experts, theirs, "{kind}-{name}");
    }
}

/// The id that the authors' prompts have in the place of a visual token.
fn goldens_placeholder(kind: &str) -> u32 {
    checkpoint(kind).config().unwrap()["pad_token_id"].as_u64().unwrap() as u32
}

/// Pictures are bit for bit Pillow's; frames of videos are resized in floats.
#[test]
fn pixels_are_the_authors() {
    for (kind, name) in CASES {
        let want = tensors(&format!("{kind}-{name}"));
        let Some(pixels) = want.get("pixels") else { continue };
        let run = run(&open(kind, LoadOptions::cpu(DType::F32)), kind, name);
        let (grid, patch) = (run.plans[0].views[0].grid.0, 7);
        // [F, 3, grid, y, grid, x] -> [F, grid, grid, 3, y, x]
        let theirs = pixels.reshape(vec![pixels.dims()[0], 3, grid, patch, grid, patch]).unwrap();
        let theirs = theirs.permute(vec![0, 2, 4, 1, 3, 5]).unwrap().contiguous().unwrap();
        let theirs = theirs.reshape(((), 3 * patch * patch)).unwrap();
        match kind {
            "image" => assert_eq!(numbers(&run.patches[0].pixels), numbers(&theirs), "{kind}-{name}"),
            _ => close(&format!("{kind}-{name}"), &run.patches[0].pixels, &theirs, &noise(kind, name)["pixels"]),
        }
    }
}

#[test]
fn features_visual_tokens_and_logits_are_the_authors() {
    for (kind, name) in CASES {
        let run_of = open(kind, LoadOptions::cpu(DType::F32));
        let run = run(&run_of, kind, name);
        let (want, noise) = (tensors(&format!("{kind}-{name}")), noise(kind, name));
        if let (Some(features), Some(visual)) = (run.features.first(), run.visual.first()) {
            close(&format!("{kind}-{name} features"), &features.rows, &want["features"], &noise["features"]);
            close(&format!("{kind}-{name} visual tokens"), visual, &want["visual_tokens"], &noise["visual_tokens"]);
        }
        let rows: Vec<usize> = (0..run.prompt.tokens.len()).collect();
        close(&format!("{kind}-{name} logits"), &logits_of(&run_of, &run, &rows), &want["logits"], &noise["logits"]);
    }
}

/// The next tokens of a prompt through the KV cache.
fn continued(model: &CogVlm2, run: &Run, steps: usize) -> Vec<u32> {
    let blocks: Vec<u32> = (0..(run.prompt.tokens.len() + steps).div_ceil(BLOCK) as u32).rev().collect();
    let (kv, dtype) = (model.processor.info().kv, model.weights.kv_dtype());
    let mut cache = KvCache::new(kv, blocks.len(), dtype, &Device::Cpu).unwrap();
    let (mut x, mut positions, mut past) = (run.embedded.clone(), run.prompt.positions.clone(), 0);
    let mut next = run.prompt.next_position();
    let mut ids = Vec::new();
    for _ in 0..steps {
        let new = positions.len();
        let runs = [SequenceRun { past, new, blocks: &blocks }];
        let mut context = KvContext::Paged { cache: &mut cache, runs: &runs };
        let logits = model.forward(&x, &positions, &mut context, &[new - 1]).unwrap();
        let id = logits.argmax(1).unwrap().to_vec1::<u32>().unwrap()[0];
        ids.push(id);
        past += new;
        (x, positions) = (model.embed_tokens(&[id]).unwrap(), vec![next]);
        next = next.next();
    }
    ids
}

#[test]
fn greedy_continuation_is_identical_for_64_tokens() {
    for (kind, name) in CASES {
        let model = open(kind, LoadOptions::cpu(DType::F32));
        let run = run(&model, kind, name);
        assert_eq!(
            continued(&model, &run, 64),
            u32s(&tensors(&format!("{kind}-{name}"))["greedy_ids"]),
            "{kind}-{name}"
        );
    }
}

/// The gradient of a published tensor, of ours that lie in it.
fn published_gradient(model: &CogVlm2, config: &Config, theirs: &str, of: &dyn Fn(&str) -> Tensor) -> Tensor {
    let mut rows: Vec<(usize, Tensor)> = Vec::new();
    for name in model.weights.variables().keys() {
        match names::published(config, name) {
            Origin::Tensor(own) if own == theirs => rows.push((0, of(name))),
            Origin::Rows(own, range) if own == theirs => rows.push((range.start, of(name))),
            _ => {}
        }
    }
    rows.sort_by_key(|(first, _)| *first);
    assert!(!rows.is_empty(), "no tensor of ours lies in {theirs}");
    Tensor::cat(&rows.iter().map(|(_, tensor)| tensor).collect::<Vec<_>>(), 0).unwrap()
}

#[test]
fn gradients_are_the_authors() {
    for kind in KINDS {
        let model = open(kind, LoadOptions::training());
        let (run, want, facts) = (run(&model, kind, "chat"), tensors(&format!("{kind}-gradients")), goldens());
        let facts = &facts["gradients"][kind];
        let (t, targets) = (run.prompt.tokens.len(), facts["targets"].as_u64().unwrap() as usize);
        let rows: Vec<usize> = (t - targets - 1..t - 1).collect();
        let ids = &ids_of(&run.prompt, 0)[t - targets..];
        let logits = logits_of(&model, &run, &rows);
        let log_sum = logits.exp().unwrap().sum_keepdim(1).unwrap().log().unwrap();
        let ids = Tensor::from_slice(ids, (targets, 1), &Device::Cpu).unwrap();
        let loss = (log_sum - logits.gather(&ids, 1).unwrap()).unwrap().mean_all().unwrap();
        let (ours, theirs) = (f64::from(loss.to_scalar::<f32>().unwrap()), facts["loss"].as_f64().unwrap());
        assert!((ours - theirs).abs() < 1e-5, "{kind}: loss {ours}, {theirs}");
        let (store, variables) = (loss.backward().unwrap(), model.weights.variables());
        let config = Config::load(&checkpoint(kind)).unwrap();
        let of = |name: &str| store.get(&variables[name]).unwrap().clone();
        assert!(want.len() >= 10);
        for (name, theirs) in &want {
            let ours = published_gradient(&model, &config, name, &of);
            close(&format!("{kind}: {name}"), &ours, theirs, &facts["f32_noise"][name]);
        }
    }
}
