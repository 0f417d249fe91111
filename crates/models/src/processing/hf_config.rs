//! What the JSON files of Hugging Face checkpoints say in the same way for every family.

use serde::Deserialize;
use serde_json::Value;

use crate::contract::model_info::GenerationDefaults;
use crate::layers::DecoderConfig;

#[derive(Deserialize)]
struct RawDecoder {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_parameters: Option<RawRope>,
    rope_scaling: Option<Value>,
    max_position_embeddings: Option<usize>,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    use_sliding_window: bool,
}

#[derive(Deserialize)]
struct RawRope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

/// What a family's decoder has when its configuration does not say.
#[derive(Clone, Copy, Debug)]
pub struct DecoderDefaults {
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Positions.
    pub max_positions: usize,
    /// Whether query, key and value have biases.
    pub qkv_bias: bool,
}

/// A decoder of the Llama form from its part of `config.json`.
///
/// # Errors
/// A text that names the field, for what is missing, does not fit, or is not built.
pub fn decoder_config(value: &Value, defaults: DecoderDefaults) -> Result<DecoderConfig, String> {
    let raw = RawDecoder::deserialize(value).map_err(|error| error.to_string())?;
    let rope_scaling = rope_scaling(raw.rope_scaling.as_ref())?;
    if raw.use_sliding_window {
        return Err("sliding windows are not supported".to_string());
    }
    let rope_type = raw.rope_parameters.as_ref().and_then(|rope| rope.rope_type.as_deref());
    if let Some(rope_type) = rope_type.filter(|rope_type| *rope_type != "default") {
        return Err(format!("rope type {rope_type} is not supported"));
    }
    if raw.num_attention_heads == 0 {
        return Err("num_attention_heads is 0".to_string());
    }
    let config = DecoderConfig {
        hidden: raw.hidden_size,
        layers: raw.num_hidden_layers,
        heads: raw.num_attention_heads,
        kv_heads: raw.num_key_value_heads.unwrap_or(raw.num_attention_heads),
        head_dim: raw.head_dim.unwrap_or(raw.hidden_size / raw.num_attention_heads),
        intermediate: raw.intermediate_size,
        vocabulary: raw.vocab_size,
        eps: raw.rms_norm_eps.unwrap_or(1e-6),
        rope_theta: raw
            .rope_parameters
            .and_then(|rope| rope.rope_theta)
            .or(raw.rope_theta)
            .unwrap_or(defaults.rope_theta),
        rope_scaling,
        max_positions: raw.max_position_embeddings.unwrap_or(defaults.max_positions),
        qkv_bias: defaults.qkv_bias,
        expert_qkv_bias: defaults.qkv_bias,
        tied: raw.tie_word_embeddings,
        experts: 1,
    };
    config.check()?;
    Ok(config)
}

/// The factor of linear scaling; 1 when there is none.
fn rope_scaling(value: Option<&Value>) -> Result<f64, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(1.0) };
    let name = value["rope_type"].as_str().or_else(|| value["type"].as_str()).unwrap_or("(none)");
    match (name, value["factor"].as_f64()) {
        ("default", _) => Ok(1.0),
        ("linear", Some(factor)) if factor > 0.0 && factor.is_finite() => Ok(factor),
        _ => Err(format!("rope scaling {name} is not supported")),
    }
}

/// The sampling defaults of `generation_config.json`.
pub fn generation_defaults(generation: &Value) -> GenerationDefaults {
    GenerationDefaults {
        do_sample: generation["do_sample"].as_bool(),
        temperature: generation["temperature"].as_f64(),
        top_p: generation["top_p"].as_f64(),
        top_k: generation["top_k"].as_u64().map(|n| n as usize),
        repetition_penalty: generation["repetition_penalty"].as_f64(),
    }
}

/// One id or a list of ids; nothing else gives any.
pub fn token_ids(value: &Value) -> Vec<u32> {
    let one = |v: &Value| v.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::Array(items) => items.iter().filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    }
}
