//! The first stage against the authors' code (`reference/make_videochat2_alignment.py`). Its losses and gradients are
//! compared where they are computed, in the trainer.

use candle_core::DType;

use super::*;
use crate::contract::features::{PrepareState, Unit};
use crate::error::ModelError;
use crate::loading;

fn folder() -> Checkpoint {
    Checkpoint::Folder(golden().join("toy"))
}

fn recorded() -> Value {
    serde_json::from_slice(&std::fs::read(golden().join("alignment.json")).unwrap()).unwrap()
}

fn opened(options: LoadOptions) -> VideoChat2 {
    let tables = names::tables(&Config::load(&folder()).unwrap());
    let archive = Archive::open(&folder(), &tables).unwrap();
    VideoChat2::load(&folder(), Weights::open(vec![archive], options).unwrap()).unwrap()
}

/// Patches of the shown frames of a golden, ImageNet's mean and deviation.
fn patches_of(model: &VideoChat2, raw: &Tensor) -> Patches {
    let all = frames_of(raw);
    let kind = if all.len() == 1 { MediaKind::Image } else { MediaKind::Video };
    let shown: Vec<Frame> = match kind {
        MediaKind::Image => all,
        MediaKind::Video => [0, 2, 4, 5].map(|n| all[n].clone()).to_vec(),
    };
    let mut plan = plan_of(&*model.processor, &shown, kind);
    plan.settings.set("norm", "imagenet");
    model.processor.prepare(&plan, &shown, &mut PrepareState::default()).unwrap()
}

#[test]
fn what_queries_and_words_find_matches_the_authors_code() {
    let model = opened(LoadOptions::cpu(DType::F32));
    let aligner = model.aligner(None).unwrap().unwrap();
    let (want, recorded) = (tensors("alignment"), recorded());
    let noise = |name: &str| recorded["f32_noise"][name].clone();
    for (n, caption) in recorded["captions"].as_array().unwrap().iter().enumerate() {
        let check = |part: &str, ours: &Tensor| {
            let name = format!("{n}.{part}");
            close(&name, ours, &want[&name], &noise(&name));
        };
        let words = aligner.words(caption.as_str().unwrap()).unwrap();
        assert_eq!(json!(words), recorded["ids"][n]);
        let patches = patches_of(&model, &want[&format!("raw.{n}")]);
        let features = aligner.features(&aligner.encode(&patches).unwrap(), &patches.units).unwrap();
        check("features", &features);
        let found = aligner.look(&features).unwrap();
        check("media", &found.mean_p);
        check("caption", &aligner.read(&words).unwrap());
        check("match", &aligner.match_logits(&features, &words).unwrap());
        check("next", &aligner.next_words(&found, &words).unwrap());
    }
}

/// What is said knows no word after it.
#[test]
fn the_next_words_do_not_depend_on_later_ones() {
    let model = opened(LoadOptions::cpu(DType::F32));
    let aligner = model.aligner(None).unwrap().unwrap();
    let patches = patches_of(&model, &tensors("alignment")["raw.1"]);
    let features = aligner.features(&aligner.encode(&patches).unwrap(), &patches.units).unwrap();
    let found = aligner.look(&features).unwrap();
    let long = aligner.next_words(&found, &[2, 40, 50, 60, 3]).unwrap();
    let short = aligner.next_words(&found, &[2, 40, 3]).unwrap();
    assert_eq!((long.dims(), short.dims()), (&[4, 77][..], &[2, 77][..]));
    assert!(worst(&long.narrow(0, 0, 2).unwrap(), &short) < 1e-5);
}

#[test]
fn heads_are_read_where_they_are_and_made_where_they_are_not() {
    assert!(opened(LoadOptions::training()).aligner(None).unwrap().is_some());
    let without = toy(LoadOptions::training());
    assert!(without.aligner(None).unwrap().is_none());
    let before = without.weights.variables().len();
    let aligner = without.aligner(Some(7)).unwrap().unwrap();
    assert_eq!(aligner.temperature().to_scalar::<f32>().unwrap(), 0.07);
    let made = without.weights.variables();
    let heads = [
        "temp",
        "vision_temp_embed",
        "vision_proj.weight",
        "text_proj.bias",
        "itm_head.weight",
        "qformer.cls.predictions.transform.dense.weight",
        "qformer.cls.predictions.decoder.bias",
        "qformer.bert.encoder.layer.2.intermediate.dense.weight",
    ];
    heads.iter().for_each(|name| assert!(made.contains_key(*name), "{name}"));
    // Four linear layers, a norm, a bias, the network of the last layer's words with its norm, embeddings, temperature.
    assert_eq!(made.len() - before, 4 * 2 + 2 + 1 + 3 * 2 + 2);
    assert_eq!(made["itm_head.weight"].dims(), [2, 64], "beside the mean of the queries the first word");
}

#[test]
fn a_temperature_out_of_range_is_put_back() {
    let model = opened(LoadOptions::training());
    let aligner = model.aligner(None).unwrap().unwrap();
    let variable = &model.weights.variables()["temp"];
    for (set, expected) in [(0.9f32, 0.5f32), (-1.0, 0.001), (0.2, 0.2)] {
        variable.set(&Tensor::new(set, &Device::Cpu).unwrap()).unwrap();
        aligner.clamp_temperature().unwrap();
        assert_eq!(aligner.temperature().to_scalar::<f32>().unwrap(), expected);
    }
}

#[test]
fn more_frames_than_embeddings_are_an_error_that_says_what_to_change() {
    let model = opened(LoadOptions::cpu(DType::F32));
    let aligner = model.aligner(None).unwrap().unwrap();
    let unit = Unit { grid: [5, 4, 4], keep: None };
    let encoded = Tensor::zeros((80, 24), DType::F32, &Device::Cpu).unwrap();
    let Err(ModelError::Caller(text)) = aligner.features(&encoded, &[unit]) else { panic!("no error") };
    assert!(text.contains("5 frames") && text.contains("has 4") && text.contains("max_frames"), "{text}");
}

/// Exports keep the heads, under the names of checkpoints.
#[test]
fn written_floats_have_the_heads_of_the_model_that_they_are_from() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("model.safetensors");
    loading::write_floats(&folder(), Vec::new(), DType::F32, &file).unwrap();
    let written = candle_core::safetensors::load(&file, &Device::Cpu).unwrap();
    let theirs = candle_core::safetensors::load(golden().join("toy/model.safetensors"), &Device::Cpu).unwrap();
    for name in ["temp", "vision_proj.weight", "itm_head.bias", "vision_temp_embed"] {
        assert_eq!(worst(&written[name], &theirs[name]), 0.0, "{name}");
    }
    let bias = &written["qformer.cls.predictions.decoder.bias"];
    assert_eq!(worst(bias, &theirs["qformer.cls.predictions.bias"]), 0.0);
    let other = place.path().join("other.safetensors");
    loading::write_floats(&toy_folder(), Vec::new(), DType::F32, &other).unwrap();
    assert!(!candle_core::safetensors::load(&other, &Device::Cpu).unwrap().contains_key("temp"));
}

/// The Q-Former of the second stage hears nothing.
#[test]
fn the_q_former_hears_nothing_when_it_is_told_to() {
    let model = opened(LoadOptions::cpu(DType::F32));
    let raw = &tensors("alignment")["raw.1"];
    let mut plan = plan_of(&*model.processor, &frames_of(raw), MediaKind::Image);
    let patches = patches_of(&model, raw);
    let features = model.encode(&plan, &patches).unwrap();
    let tokens = |plan: &MediaPlan, instruction| model.project(plan, &features, 0, instruction).unwrap();
    let heard = tokens(&plan, Some("watch"));
    plan.settings.set("hears", "nothing");
    let silent = tokens(&plan, Some("watch"));
    assert_eq!(worst(&silent, &model.projector.forward(&features, &[]).unwrap()), 0.0);
    assert!(worst(&silent, &heard) > 1e-3);
}
