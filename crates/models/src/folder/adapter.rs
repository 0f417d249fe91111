//! Low-rank adapters as PEFT writes them (`adapter_config.json`, `adapter_model.safetensors`), merged while the model
//! that they were made from is read.

use std::sync::Arc;

use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::error::ModelResult;
use crate::weights::{NameTable, Origin};

/// The file that says what an adapter is.
pub(crate) const ADAPTER_CONFIG: &str = "adapter_config.json";
/// What PEFT puts before the names of the model's own tensors.
const PREFIX: &str = "base_model.model.";
const WEIGHT: &str = ".weight";

/// The layout of an adapter of a model with one of the layouts `tables`; `None` when `checkpoint` is no adapter.
///
/// # Errors
/// [`ModelError::File`] when the adapter is of a kind that is not read.
///
/// [`ModelError::File`]: crate::error::ModelError::File
pub(crate) fn table(checkpoint: &Checkpoint, tables: &[NameTable]) -> ModelResult<Option<NameTable>> {
    let Some(config) = checkpoint.json(ADAPTER_CONFIG)? else { return Ok(None) };
    let scale = scale(&config).map_err(|what| checkpoint.error(ADAPTER_CONFIG, what))?;
    let inner = tables.to_vec();
    let origin = move |canonical: &str| {
        let candidates = inner.iter().filter_map(|table| (table.origin)(canonical));
        let all: Vec<Origin> = candidates.flat_map(|origin| additions(&origin, scale)).collect();
        (!all.is_empty()).then_some(Origin::FirstOf(all))
    };
    Ok(Some(NameTable {
        layout: "a low-rank adapter",
        matches: |names| names.any_with_prefix(PREFIX),
        origin: Arc::new(origin),
        ignored: |_| false,
        gguf_architecture: None,
    }))
}

/// Where an adapter may have something for the tensor that a model has at `origin`: a low-rank product, or the whole
/// tensor (`modules_to_save`).
fn additions(origin: &Origin, scale: f32) -> Vec<Origin> {
    match origin {
        Origin::Tensor(name) | Origin::Vocabulary(name) => {
            let low_rank = name.strip_suffix(WEIGHT).map(|stem| Origin::LowRank {
                base: Box::new(origin.clone()),
                down: format!("{PREFIX}{stem}.lora_A.weight"),
                up: format!("{PREFIX}{stem}.lora_B.weight"),
                scale,
            });
            low_rank.into_iter().chain([Origin::Tensor(format!("{PREFIX}{name}"))]).collect()
        }
        Origin::FirstOf(all) => all.iter().flat_map(|origin| additions(origin, scale)).collect(),
        _ => Vec::new(),
    }
}

/// `alpha / rank`, or `alpha / sqrt(rank)` of a rank-stabilized adapter.
fn scale(config: &Value) -> Result<f32, String> {
    let kind = config["peft_type"].as_str().unwrap_or("LORA");
    if kind != "LORA" {
        return Err(format!("an adapter of kind {kind}; LORA is read"));
    }
    for flag in ["use_dora", "fan_in_fan_out"] {
        if config[flag].as_bool() == Some(true) {
            return Err(format!("{flag} is not read"));
        }
    }
    for pattern in ["rank_pattern", "alpha_pattern"] {
        if config[pattern].as_object().is_some_and(|pattern| !pattern.is_empty()) {
            return Err(format!("{pattern} is not read: every matrix has one rank and one alpha"));
        }
    }
    let (rank, alpha) = (config["r"].as_f64().unwrap_or(0.0), config["lora_alpha"].as_f64().unwrap_or(0.0));
    if rank < 1.0 {
        return Err("r, the rank, is missing".to_string());
    }
    let divisor = if config["use_rslora"].as_bool() == Some(true) { rank.sqrt() } else { rank };
    Ok((alpha / divisor) as f32)
}
