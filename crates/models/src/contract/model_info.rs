//! Facts about a checkpoint that its configuration says.

use serde::Serialize;

use crate::contract::settings::Setting;
use crate::kv::KvShape;

/// What ends a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopCriteria {
    /// Tokens.
    pub ids: Vec<u32>,
    /// Texts; the reply ends before them.
    pub texts: Vec<String>,
}

/// Sampling defaults that a checkpoint publishes (`generation_config.json`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GenerationDefaults {
    /// Whether the checkpoint samples by default.
    pub do_sample: Option<bool>,
    /// Temperature.
    pub temperature: Option<f64>,
    /// Nucleus mass.
    pub top_p: Option<f64>,
    /// Number of candidates.
    pub top_k: Option<usize>,
    /// Repetition penalty; 1 means none.
    pub repetition_penalty: Option<f64>,
}

/// Facts about a checkpoint that its configuration says.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// Family name as in `families/`.
    pub family: &'static str,
    /// Language width D.
    pub hidden: usize,
    /// Vocabulary rows W.
    pub vocabulary: usize,
    /// Most positions the checkpoint was made for.
    pub max_positions: usize,
    /// What one position costs in the KV cache.
    pub kv: KvShape,
    /// Width of features.
    pub feature_width: usize,
    /// Values of a patch.
    pub patch_values: usize,
    /// What ends a reply.
    pub stop: StopCriteria,
    /// Published sampling defaults.
    pub generation: GenerationDefaults,
    /// Settings that the family has.
    pub settings: Vec<Setting>,
    /// Free text lines: sizes of the parts.
    pub details: Vec<(String, String)>,
}
