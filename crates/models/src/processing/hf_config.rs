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
    original_max_position_embeddings: Option<usize>,
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
    let max_positions = raw.max_position_embeddings.unwrap_or(defaults.max_positions);
    let original = raw.original_max_position_embeddings;
    let rope = rope_scaling(raw.rope_scaling.as_ref(), max_positions, original)?;
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
        rope_scaling: rope.divisor,
        rope_factors: rope.factors,
        rope_amplitude: rope.amplitude,
        max_positions: rope.positions,
        qkv_bias: defaults.qkv_bias,
        expert_qkv_bias: defaults.qkv_bias,
        tied: raw.tie_word_embeddings,
        experts: 1,
    };
    config.check()?;
    Ok(config)
}

/// How rotary positions are stretched.
struct RopeScaling {
    divisor: f64,
    factors: Vec<f32>,
    amplitude: f64,
    /// Positions for which that holds.
    positions: usize,
}

/// None, linear scaling, or LongRoPE. Of LongRoPE the factors for prompts of the length that the model was first made
/// for, `original` positions: the longer ones have other factors, which would change the keys of what came before.
fn rope_scaling(value: Option<&Value>, positions: usize, original: Option<usize>) -> Result<RopeScaling, String> {
    let none = RopeScaling { divisor: 1.0, factors: Vec::new(), amplitude: 1.0, positions };
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(none) };
    let name = value["rope_type"].as_str().or_else(|| value["type"].as_str()).unwrap_or("(none)");
    match (name, value["factor"].as_f64()) {
        ("default", _) => Ok(none),
        ("linear", Some(factor)) if factor > 0.0 && factor.is_finite() => Ok(RopeScaling { divisor: factor, ..none }),
        ("longrope" | "su", factor) => {
            let factors = value["short_factor"].as_array().into_iter().flatten();
            let factors: Option<Vec<f32>> = factors.map(|factor| factor.as_f64().map(|factor| factor as f32)).collect();
            let original = original.or(value["original_max_position_embeddings"].as_u64().map(|n| n as usize));
            let (Some(factors), Some(original @ 2..)) = (factors.filter(|all| !all.is_empty()), original) else {
                return Err(format!("rope scaling {name} without short_factor or original_max_position_embeddings"));
            };
            let stretch = factor.unwrap_or(positions as f64 / original as f64).max(1.0);
            let amplitude = value["attention_factor"].as_f64();
            let amplitude = amplitude.unwrap_or((1.0 + stretch.ln() / (original as f64).ln()).sqrt());
            Ok(RopeScaling { divisor: 1.0, factors, amplitude, positions: original.min(positions) })
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decoder(extra: Value) -> Result<DecoderConfig, String> {
        let mut config = json!({
            "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48,
            "vocab_size": 10, "max_position_embeddings": 131_072, "original_max_position_embeddings": 4096
        });
        let extra = extra.as_object().cloned().unwrap_or_default();
        config.as_object_mut().expect("an object").extend(extra);
        decoder_config(&config, DecoderDefaults { rope_theta: 1e4, max_positions: 2048, qkv_bias: false })
    }

    /// The amplitude is that of Phi-3-mini-128k: `sqrt(1 + ln 32 / ln 4096)`.
    #[test]
    fn longrope_has_factors_and_an_amplitude_within_the_first_length() {
        for name in ["longrope", "su"] {
            let scaling = json!({"type": name, "short_factor": [1.0, 1.05, 1.1, 1.2], "long_factor": [1, 2, 3, 4]});
            let config = decoder(json!({"rope_scaling": scaling})).unwrap();
            assert_eq!(config.rope_factors, [1.0, 1.05, 1.1, 1.2]);
            assert!((config.rope_amplitude - 1.190_238).abs() < 1e-6, "{}", config.rope_amplitude);
            assert_eq!((config.max_positions, config.rope_scaling), (4096, 1.0));
        }
        let refused = |scaling: Value| decoder(json!({"rope_scaling": scaling})).unwrap_err();
        assert!(refused(json!({"type": "longrope", "short_factor": [1.0]})).contains("1 factors of 4"));
        assert!(refused(json!({"type": "longrope"})).contains("short_factor"));
        assert!(refused(json!({"type": "yarn", "factor": 2.0})).contains("yarn"));
        let linear = decoder(json!({"rope_scaling": {"type": "linear", "factor": 4.0}})).unwrap();
        assert_eq!((linear.rope_scaling, linear.max_positions), (4.0, 131_072));
    }
}
