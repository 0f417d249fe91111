//! Adapters on their way out and back.

use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::loading;
use zoetrope_models::weights::LoadOptions;

use super::*;
use crate::train::pack::{Pack, losses};

const STAGE: &str = r#"
    [[stage]]
    name = "one"
    steps = 3
    vision = { learn = "lora", rank = 3, alpha = 2 }
    language = { learn = "lora", rank = 4, alpha = 8 }
    optimizer.lr = 0.05
"#;

fn loss_of(model: &dyn VideoLanguageModel, options: &zoetrope_models::contract::media_plan::PlanOptions) -> Vec<f32> {
    let samples: Vec<Sample> = (0..2).map(|n| Sample::drawn(Split::HeldOut, n, &Difficulty::one_object(), 3)).collect();
    let mut pack = Pack::default();
    samples.iter().for_each(|sample| pack.add(model, sample, options).unwrap());
    values(&losses(model, &pack).unwrap())
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn an_adapter_that_was_written_gives_the_losses_of_the_run() {
    for toy_folder in TOYS {
        let folder = tempfile::tempdir().unwrap();
        let mut trainer = open(toy_folder, folder.path(), &recipe(STAGE));
        let options = trainer.active.options.clone();
        let before = loss_of(trainer.active.model.as_ref(), &options);
        run(&mut trainer, 3);
        let trained = loss_of(trainer.active.model.as_ref(), &options);
        assert!(furthest(&before, &trained) > 0.05, "{toy_folder}: nothing was learned");
        let adapter = trainer.export().unwrap();
        assert_eq!(adapter, folder.path().join("adapter"));
        let load = LoadOptions::cpu(DType::F32);
        let over = ModelCheckpoint::Folder(adapter).with_base(toy(toy_folder));
        let read = loss_of(loading::open(&over, load.clone()).unwrap().as_ref(), &options);
        assert!(furthest(&read, &trained) < 1e-3, "{toy_folder}: {read:?} {trained:?}");
        let merged = ModelCheckpoint::Folder(trainer.export_merged().unwrap());
        let read = loss_of(loading::open(&merged, load).unwrap().as_ref(), &options);
        assert!(furthest(&read, &trained) < 1e-3, "{toy_folder}, merged: {read:?} {trained:?}");
    }
}

#[test]
fn an_adapter_is_written_as_peft_names_things() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = open(TOY, folder.path(), &recipe(&format!("{STAGE}projector.learn = 'full'")));
    run(&mut trainer, 1);
    let adapter = trainer.export().unwrap();
    let config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(adapter.join("adapter_config.json")).unwrap()).unwrap();
    assert_eq!((config["peft_type"].as_str(), config["lora_alpha"].as_f64()), (Some("LORA"), Some(8.0)));
    let query = "model.language_model.layers.0.self_attn.q_proj";
    let targets: Vec<&str> = config["target_modules"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert!(targets.contains(&query));
    let of_vision = targets.iter().find(|module| module.contains("vision")).unwrap();
    assert_eq!((config["rank_pattern"][of_vision].as_u64(), config["rank_pattern"].get(query)), (Some(3), None));
    let saved: Vec<&str> = config["modules_to_save"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert!(saved.iter().all(|module| module.starts_with("model.projector")) && !saved.is_empty(), "{saved:?}");
    let file = adapter.join("adapter_model.safetensors");
    let tensors = candle_core::safetensors::load(file, &candle_core::Device::Cpu).unwrap();
    let down = &tensors[&format!("base_model.model.{query}.lora_A.weight")];
    assert_eq!(down.dim(0).unwrap(), 4);
    assert_eq!(
        tensors.len(),
        2 * targets.len() + trainer.weights().keys().filter(|n| n.contains("model.projector")).count()
    );
}
