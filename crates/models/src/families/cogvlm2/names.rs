//! Tensor names: ours are those of the authors, with their fused matrices apart; and the published layout.

use std::ops::Range;
use std::sync::Arc;

use super::config::Config;
use crate::checkpoint::Checkpoint;
use crate::error::ModelResult;
use crate::processing::GgufNames;
use crate::weights::{NameTable, Origin};

/// The published layouts of checkpoints of these sizes.
pub(super) fn tables(checkpoint: &Checkpoint) -> ModelResult<Vec<NameTable>> {
    let config = Config::load(checkpoint)?;
    let heads = (config.language.heads, config.language.kv_heads);
    Ok(vec![
        NameTable {
            layout: "fused matrices apart",
            matches: |names| names.any_with_prefix("model.layers.0.self_attn.q_proj."),
            ..NameTable::ours()
        },
        NameTable {
            layout: "published",
            matches: |names| names.any_with_prefix("model.layers.0.self_attn.language_expert_"),
            origin: Arc::new(move |name| Some(published(&config, name))),
            // Tables of the rotary frequencies, one a layer.
            ignored: |name| name.ends_with(".rotary_emb.inv_freq"),
            ..NameTable::ours()
        },
        // The weights of text; the image model's of visual tokens stay its own.
        GgufNames { architecture: "llama", decoder: "model.", head: "lm_head.weight", interleaved: Some(heads) }
            .table(),
    ])
}

/// Where a tensor of ours lies in a published checkpoint.
pub(super) fn published(c: &Config, name: &str) -> Origin {
    let split = |prefix: &str| name.strip_prefix(prefix).and_then(|rest| rest.split_once('.'));
    let found = if let Some((layer, rest)) = split("model.layers.") {
        match rest.strip_prefix("experts.1.") {
            Some(rest) => decoder_matrix(c, &format!("model.layers.{layer}"), "vision", rest),
            None => decoder_matrix(c, &format!("model.layers.{layer}"), "language", rest),
        }
    } else if let Some((layer, rest)) = split("model.vision.transformer.layers.") {
        vision_tensor(c.vision.hidden, &format!("model.vision.transformer.layers.{layer}"), rest)
    } else {
        None
    };
    found.unwrap_or_else(|| Origin::Tensor(name.to_string()))
}

/// A matrix of a decoder layer: those of text and of visual tokens differ in a word.
fn decoder_matrix(c: &Config, layer: &str, expert: &str, name: &str) -> Option<Origin> {
    let (part, value) = name.rsplit_once('.')?;
    let l = &c.language;
    let (q, kv) = (l.heads * l.head_dim, l.kv_heads * l.head_dim);
    let fused = |range: Range<usize>| {
        Some(Origin::Rows(format!("{layer}.self_attn.{expert}_expert_query_key_value.{value}"), range))
    };
    match part {
        "self_attn.q_proj" => fused(0..q),
        "self_attn.k_proj" => fused(q..q + kv),
        "self_attn.v_proj" => fused(q + kv..q + 2 * kv),
        "self_attn.o_proj" => Some(Origin::Tensor(format!("{layer}.self_attn.{expert}_expert_dense.{value}"))),
        _ => {
            let matrix = part.strip_prefix("mlp.")?;
            Some(Origin::Tensor(format!("{layer}.mlp.{expert}_mlp.{matrix}.{value}")))
        }
    }
}

/// A tensor of an encoder block of width `d`.
fn vision_tensor(d: usize, layer: &str, name: &str) -> Option<Origin> {
    let (part, value) = name.rsplit_once('.')?;
    let fused = |range: Range<usize>| Some(Origin::Rows(format!("{layer}.attention.query_key_value.{value}"), range));
    let renamed = |theirs: &str| Some(Origin::Tensor(format!("{layer}.{theirs}.{value}")));
    match part {
        "self_attn.q_proj" => fused(0..d),
        "self_attn.k_proj" => fused(d..2 * d),
        "self_attn.v_proj" => fused(2 * d..3 * d),
        "self_attn.out_proj" => renamed("attention.dense"),
        "layer_norm1" => renamed("input_layernorm"),
        "layer_norm2" => renamed("post_attention_layernorm"),
        _ => None,
    }
}
