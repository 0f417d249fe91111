//! The numbers of a checkpoint.

use serde::Deserialize;
use serde_json::Value;
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::error::ModelResult;
use zoetrope_models::layers::DecoderConfig;
use zoetrope_models::processing::{DecoderDefaults, decoder_config};

/// Vision encoder.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct VisionConfig {
    /// Width E.
    #[serde(rename = "hidden_size")]
    pub(super) hidden: usize,
    /// Blocks.
    #[serde(rename = "num_hidden_layers")]
    pub(super) layers: usize,
    /// Heads.
    #[serde(rename = "num_attention_heads")]
    pub(super) heads: usize,
    /// Width inside the MLP.
    #[serde(rename = "intermediate_size")]
    pub(super) intermediate: usize,
    /// Side of a patch in pixels.
    #[serde(rename = "patch_size")]
    pub(super) patch: usize,
    /// Side of a view in patches.
    pub(super) grid: usize,
    /// Most frames of a unit, and of a video.
    pub(super) max_frames: usize,
    /// LayerNorm epsilon.
    #[serde(rename = "layer_norm_eps")]
    pub(super) eps: f64,
}

impl VisionConfig {
    /// Side of a view in pixels.
    pub(super) fn side(&self) -> u32 {
        (self.grid * self.patch) as u32
    }

    /// Values of a patch.
    pub(super) fn patch_values(&self) -> usize {
        3 * self.patch * self.patch
    }
}

/// Low-rank adapters of the published layout.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct LoraConfig {
    /// Rank.
    pub(super) r: usize,
    /// The sum is multiplied by `alpha / r`.
    pub(super) alpha: f32,
}

/// Everything that `config.json` says.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// Encoder.
    pub(super) vision: VisionConfig,
    /// Query tokens of a unit.
    pub(super) queries: usize,
    /// Decoder.
    pub(super) language: DecoderConfig,
    /// Adapters.
    pub(super) lora: LoraConfig,
}

impl Config {
    /// Whether `config.json` is of this family.
    pub(super) fn matches(config: &Value) -> bool {
        config["model_type"] == "trial"
    }

    /// Reads `config.json`.
    pub(super) fn load(checkpoint: &Checkpoint) -> ModelResult<Self> {
        let config = checkpoint.config()?;
        let wrong = |what: String| checkpoint.error("config.json", what);
        let number = |value: &Value, key: &str| {
            let number = value[key].as_u64().filter(|number| *number > 0);
            number.map(|number| number as usize).ok_or_else(|| wrong(format!("{key} is no positive integer")))
        };
        let defaults = DecoderDefaults { rope_theta: 1e4, max_positions: 2048, qkv_bias: false };
        let mut language = decoder_config(&config["text_config"], defaults).map_err(wrong)?;
        language.experts = number(&config["text_config"], "experts")?;
        language.check().map_err(wrong)?;
        Ok(Config {
            vision: VisionConfig::deserialize(&config["vision_config"]).map_err(|error| wrong(error.to_string()))?,
            queries: number(&config, "queries")?,
            language,
            lora: LoraConfig::deserialize(&config["lora"]).map_err(|error| wrong(error.to_string()))?,
        })
    }
}
