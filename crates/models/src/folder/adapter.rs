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
    let scales = Scales::read(&config).map_err(|what| checkpoint.error(ADAPTER_CONFIG, what))?;
    let (inner, ours) = (tables.to_vec(), NameTable::ours());
    let origin = move |canonical: &str| {
        // Our own names, too: where published layouts fuse matrices, adapters that were trained here have them apart.
        let candidates = inner.iter().chain([&ours]).filter_map(|table| (table.origin)(canonical));
        let all: Vec<Origin> = candidates.flat_map(|origin| additions(&origin, &scales)).collect();
        (!all.is_empty()).then_some(Origin::FirstOf(all))
    };
    Ok(Some(NameTable {
        layout: "a low-rank adapter",
        matches: |names| names.any_with_prefix(PREFIX),
        origin: Arc::new(origin),
        ignored: |_| false,
        adds: true,
        gguf_architecture: None,
    }))
}

/// Where an adapter may have something for the tensor that a model has at `origin`: a low-rank product, or the whole
/// tensor (`modules_to_save`).
fn additions(origin: &Origin, scales: &Scales) -> Vec<Origin> {
    match origin {
        Origin::Tensor(name) | Origin::Vocabulary(name) => {
            let low_rank = name.strip_suffix(WEIGHT).map(|module| Origin::LowRank {
                base: Box::new(origin.clone()),
                down: format!("{PREFIX}{module}.lora_A.weight"),
                up: format!("{PREFIX}{module}.lora_B.weight"),
                scale: scales.of(module),
            });
            low_rank.into_iter().chain([Origin::Tensor(format!("{PREFIX}{name}"))]).collect()
        }
        Origin::FirstOf(all) => all.iter().flat_map(|origin| additions(origin, scales)).collect(),
        _ => Vec::new(),
    }
}

/// What the products of an adapter are multiplied by.
struct Scales {
    rank: f64,
    alpha: f64,
    /// Of some modules, by the end of their names.
    ranks: Vec<(String, f64)>,
    alphas: Vec<(String, f64)>,
    /// Whether the root of the rank divides (rank-stabilized adapters).
    root: bool,
}

impl Scales {
    fn read(config: &Value) -> Result<Self, String> {
        let kind = config["peft_type"].as_str().unwrap_or("LORA");
        if kind != "LORA" {
            return Err(format!("an adapter of kind {kind}; LORA is read"));
        }
        for flag in ["use_dora", "fan_in_fan_out"] {
            if config[flag].as_bool() == Some(true) {
                return Err(format!("{flag} is not read"));
            }
        }
        let (rank, alpha) = (config["r"].as_f64().unwrap_or(0.0), config["lora_alpha"].as_f64().unwrap_or(0.0));
        if rank < 1.0 {
            return Err("r, the rank, is missing".to_string());
        }
        let root = config["use_rslora"].as_bool() == Some(true);
        let [ranks, alphas] = ["rank_pattern", "alpha_pattern"].map(|name| pattern(name, &config[name]));
        Ok(Scales { rank, alpha, ranks: ranks?, alphas: alphas?, root })
    }

    /// `alpha / rank` of the module `name`, or `alpha / sqrt(rank)`.
    fn of(&self, name: &str) -> f32 {
        let ends = |end: &str| name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let find = |all: &[(String, f64)], usual| all.iter().find(|(end, _)| ends(end)).map_or(usual, |(_, own)| *own);
        let (rank, alpha) = (find(&self.ranks, self.rank), find(&self.alphas, self.alpha));
        (alpha / if self.root { rank.sqrt() } else { rank }) as f32
    }
}

/// Numbers by the end of modules' names. PEFT takes regular expressions; plain names are read.
fn pattern(name: &str, pattern: &Value) -> Result<Vec<(String, f64)>, String> {
    let mut all = Vec::new();
    for (module, value) in pattern.as_object().into_iter().flatten() {
        let is_plain = module.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'.');
        match value.as_f64().filter(|value| *value > 0.0) {
            Some(value) if is_plain => all.push((module.clone(), value)),
            Some(_) => return Err(format!("{name}: {module:?} is a regular expression; names of modules are read")),
            None => return Err(format!("{name}: {module:?} has no number above 0")),
        }
    }
    Ok(all)
}
