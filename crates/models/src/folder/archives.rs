//! The archives of a checkpoint, in the order in which a tensor is looked up.

use super::adapter;
use crate::checkpoint::Checkpoint;
use crate::error::ModelResult;
use crate::weights::{Archive, NameTable};

/// Files that trainers leave beside weights.
const TRAINERS_OWN: [&str; 5] = ["training_args", "optimizer", "scheduler", "rng_state", "random_states"];

/// The weight files of every part of `checkpoint`, those of a stage before those of its base; empty when there are
/// none. A part has `model.safetensors` or `pytorch_model.bin`, whole or in shards; or files of other names
/// (`mm_projector.bin`, `stage3.pth`), of which the last by name is looked up first: later stages before earlier ones.
///
/// # Errors
/// When one is missing, damaged or of a layout that `tables` do not have.
pub(crate) fn find_archives(checkpoint: &Checkpoint, tables: &[NameTable]) -> ModelResult<Vec<Archive>> {
    let mut all = Vec::new();
    for part in checkpoint.parts() {
        match Archive::find(part, tables)? {
            Some(archive) => all.push(archive),
            None => all.extend(of_other_names(part, tables)?),
        }
    }
    Ok(all)
}

/// The PyTorch files `files`, which lie in any part, and behind them what every part has under the usual names.
///
/// # Errors
/// As [`find_archives`].
pub(crate) fn implied_archives(
    checkpoint: &Checkpoint,
    files: &[String],
    tables: &[NameTable],
) -> ModelResult<Vec<Archive>> {
    let stages = files.iter().map(|name| Archive::pytorch(&checkpoint.path(name), tables));
    let mut all = stages.collect::<ModelResult<Vec<_>>>()?;
    for part in checkpoint.parts() {
        all.extend(Archive::find(part, tables)?);
    }
    Ok(all)
}

fn of_other_names(part: &Checkpoint, tables: &[NameTable]) -> ModelResult<Vec<Archive>> {
    let adapter = adapter::table(part, tables)?;
    let mut names: Vec<String> = Vec::new();
    for name in part.names()? {
        let is_weights = [".safetensors", ".bin", ".pt", ".pth"].iter().any(|ending| name.ends_with(ending));
        if is_weights && !TRAINERS_OWN.iter().any(|own| name.starts_with(own)) {
            names.push(name);
        }
    }
    let tables: Vec<NameTable> = adapter.iter().chain(tables).cloned().collect();
    names.iter().rev().map(|name| Archive::file(part, name, &tables, adapter.is_some())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use candle_core::{DType, Device, Tensor};
    use serde_json::{Value, json};

    use super::*;
    use crate::weights::{LoadOptions, ParameterRole, Weights};

    fn tensor(shape: &[usize], step: f32) -> Tensor {
        let values = (0..shape.iter().product::<usize>()).map(|i| step * i as f32).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn save(folder: &Path, file: &str, tensors: &[(&str, Tensor)]) {
        let tensors: HashMap<_, _> = tensors.iter().map(|(name, tensor)| (*name, tensor.clone())).collect();
        candle_core::safetensors::save(&tensors, folder.join(file)).unwrap();
    }

    /// A base with two matrices, and an adapter of the first.
    fn folders(config: &Value, stem: &str) -> (tempfile::TempDir, tempfile::TempDir) {
        let (base, stage) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        save(
            base.path(),
            "model.safetensors",
            &[("q.weight", tensor(&[3, 4], 0.1)), ("k.weight", tensor(&[3, 4], 0.2))],
        );
        let [down, up] = ["A", "B"].map(|part| format!("base_model.model.{stem}.lora_{part}.weight"));
        let low_rank = [(&*down, tensor(&[2, 4], 0.3)), (&*up, tensor(&[3, 2], 0.4))];
        save(stage.path(), "adapter_model.safetensors", &low_rank);
        std::fs::write(stage.path().join("adapter_config.json"), config.to_string()).unwrap();
        (base, stage)
    }

    fn open(stage: &Path, base: &Path) -> ModelResult<Weights> {
        let checkpoint = Checkpoint::from(stage).with_base(Checkpoint::from(base));
        Weights::open(find_archives(&checkpoint, &[NameTable::ours()])?, LoadOptions::cpu(DType::F64))
    }

    fn get(weights: &Weights, name: &str) -> Tensor {
        weights.get(&[3, 4], name, ParameterRole::HiddenMatrix).unwrap().to_dtype(DType::F32).unwrap()
    }

    fn distance(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().sum_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn an_adapter_is_added_to_the_model_that_it_was_made_from() {
        for (config, scale) in [
            (json!({"r": 2, "lora_alpha": 4, "peft_type": "LORA"}), 2.0),
            (json!({"r": 4, "lora_alpha": 4, "use_rslora": true}), 2.0),
            (json!({"r": 2, "lora_alpha": 9, "rank_pattern": {"k": 7}, "alpha_pattern": {"q": 4}}), 2.0),
            (json!({"r": 2, "lora_alpha": 4, "rank_pattern": {"q": 1, "xq": 9}, "alpha_pattern": {"q": 2}}), 2.0),
        ] {
            let (base, stage) = folders(&config, "q");
            let weights = open(stage.path(), base.path()).unwrap();
            let product = tensor(&[3, 2], 0.4).matmul(&tensor(&[2, 4], 0.3)).unwrap();
            let merged = (tensor(&[3, 4], 0.1) + (product * scale).unwrap()).unwrap();
            assert!(distance(&get(&weights, "q.weight"), &merged) < 1e-5, "{config}");
            assert_eq!(distance(&get(&weights, "k.weight"), &tensor(&[3, 4], 0.2)), 0.0);
            weights.refuse_left_over().unwrap();
        }
    }

    #[test]
    fn an_adapter_of_a_model_that_has_one_is_added_to_both() {
        let (base, first) = folders(&json!({"r": 2, "lora_alpha": 4}), "q");
        let (_, second) = folders(&json!({"r": 2, "lora_alpha": 6}), "q");
        let checkpoint = Checkpoint::from(first.path()).with_base(Checkpoint::from(base.path()));
        let checkpoint = Checkpoint::from(second.path()).with_base(checkpoint);
        let archives = find_archives(&checkpoint, &[NameTable::ours()]).unwrap();
        let weights = Weights::open(archives, LoadOptions::cpu(DType::F64)).unwrap();
        let product = tensor(&[3, 2], 0.4).matmul(&tensor(&[2, 4], 0.3)).unwrap();
        let merged = (tensor(&[3, 4], 0.1) + (product * 5.0).unwrap()).unwrap();
        assert!(distance(&get(&weights, "q.weight"), &merged) < 1e-4);
        weights.refuse_left_over().unwrap();
        let alone = open(first.path(), second.path()).unwrap();
        assert!(alone.get(&[3, 4], "q.weight", ParameterRole::HiddenMatrix).is_err());
    }

    #[test]
    fn adapters_that_would_not_be_read_whole_are_refused() {
        let refused = |config: Value, stem: &str| {
            let (base, stage) = folders(&config, stem);
            let weights = open(stage.path(), base.path()).map_err(|error| error.to_string())?;
            get(&weights, "q.weight");
            weights.refuse_left_over().map_err(|error| error.to_string())
        };
        let error = refused(json!({"r": 2, "lora_alpha": 4}), "other").unwrap_err();
        assert!(error.contains("2 tensors have no place in the model") && error.contains("other.lora_A"), "{error}");
        for (config, word) in [
            (json!({"r": 2, "use_dora": true}), "use_dora"),
            (json!({"r": 2, "rank_pattern": {"q.*": 4}}), "regular expression"),
            (json!({"r": 2, "alpha_pattern": {"q": 0}}), "alpha_pattern"),
            (json!({"peft_type": "IA3"}), "IA3"),
            (json!({}), "rank"),
        ] {
            let error = refused(config, "q").unwrap_err();
            assert!(error.contains("adapter_config.json") && error.contains(word), "{error}");
        }
    }

    #[test]
    fn later_stages_are_looked_up_before_earlier_ones_and_before_the_base() {
        let (base, stage) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        save(base.path(), "model.safetensors", &["a", "b", "c"].map(|name| (name, tensor(&[3, 4], 1.0))));
        save(stage.path(), "x_stage2.safetensors", &["a", "b"].map(|name| (name, tensor(&[3, 4], 2.0))));
        save(stage.path(), "x_stage3.safetensors", &[("a", tensor(&[3, 4], 3.0))]);
        std::fs::write(stage.path().join("training_args.bin"), "no weights").unwrap();
        let weights = open(stage.path(), base.path()).unwrap();
        for (name, step) in [("a", 3.0), ("b", 2.0), ("c", 1.0)] {
            assert_eq!(distance(&get(&weights, name), &tensor(&[3, 4], step)), 0.0, "{name}");
        }
    }
}
