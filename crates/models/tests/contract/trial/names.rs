//! Tensor names: ours, and those of a layout with fused rows, stacks, another rotary order and adapters.

use std::ops::Range;
use std::sync::Arc;

use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::error::ModelResult;
use zoetrope_models::weights::{NameTable, Origin};

use super::config::Config;

/// The published layouts of checkpoints of these sizes.
pub(super) fn tables(checkpoint: &Checkpoint) -> ModelResult<Vec<NameTable>> {
    let config = Config::load(checkpoint)?;
    Ok(vec![
        NameTable { layout: "plain", matches: |names| names.any_with_prefix("language.layers."), ..NameTable::ours() },
        NameTable {
            layout: "published",
            matches: |names| names.any_with_prefix("model.layers."),
            origin: Arc::new(move |name| published(&config, name)),
            // Tables of cosines that some versions wrote.
            ignored: |name| name.ends_with(".rotary_emb.inv_freq"),
            ..NameTable::ours()
        },
    ])
}

fn tensor(name: String) -> Origin {
    Origin::Tensor(name)
}

fn published(c: &Config, name: &str) -> Option<Origin> {
    if let Some(rest) = name.strip_prefix("vision.") {
        return vision(c, rest);
    }
    if let Some(rest) = name.strip_prefix("projector.") {
        return Some(tensor(format!("model.mm_projector.{rest}")));
    }
    match name.strip_prefix("language.")? {
        "embed_tokens.weight" => Some(Origin::Vocabulary("model.embed_tokens.weight".to_string())),
        "norm.weight" => Some(tensor("model.norm.weight".to_string())),
        rest => {
            let (layer, rest) = rest.strip_prefix("layers.")?.split_once('.')?;
            let layer = format!("model.layers.{layer}");
            match rest.strip_prefix("experts.1.") {
                Some(rest) => matrix(c, &format!("{layer}.vision_expert"), rest),
                None => matrix(c, &layer, rest)
                    .or_else(|| rest.contains("layernorm").then(|| tensor(format!("{layer}.{rest}")))),
            }
        }
    }
}

/// A matrix of a decoder layer or of one of its experts.
fn matrix(c: &Config, place: &str, name: &str) -> Option<Origin> {
    let l = &c.language;
    let gate_up = |range: Range<usize>| Origin::Rows(format!("{place}.mlp.gate_up_proj.weight"), range);
    Some(match name {
        "self_attn.q_proj.weight" => Origin::InterleavedRope(format!("{place}.{name}"), l.heads),
        "self_attn.k_proj.weight" => Origin::InterleavedRope(format!("{place}.{name}"), l.kv_heads),
        "self_attn.v_proj.weight" => Origin::LowRank {
            base: Box::new(tensor(format!("{place}.self_attn.v_proj.base_layer.weight"))),
            down: format!("{place}.self_attn.v_proj.lora_A.default.weight"),
            up: format!("{place}.self_attn.v_proj.lora_B.default.weight"),
            scale: c.lora.alpha / c.lora.r as f32,
        },
        "self_attn.o_proj.weight" | "mlp.down_proj.weight" => tensor(format!("{place}.{name}")),
        "mlp.gate_proj.weight" => gate_up(0..l.intermediate),
        "mlp.up_proj.weight" => gate_up(l.intermediate..2 * l.intermediate),
        _ => return None,
    })
}

/// Query, key and value in one matrix, and no bias of keys (EVA).
fn vision(c: &Config, name: &str) -> Option<Origin> {
    let e = c.vision.hidden;
    if name == "positions.weight" {
        let axes = ["row_embed", "col_embed", "time_embed"].map(|axis| tensor(format!("visual.{axis}.weight")));
        return Some(Origin::Stack(axes.to_vec()));
    }
    if let Some(rest) = name.strip_prefix("patch_embedding.") {
        return Some(tensor(format!("visual.patch_embed.proj.{rest}")));
    }
    let (block, rest) = name.strip_prefix("blocks.")?.split_once('.')?;
    let block = format!("visual.blocks.{block}");
    let qkv = |part: usize| Origin::Rows(format!("{block}.attn.qkv.weight"), part * e..(part + 1) * e);
    Some(match rest {
        "self_attn.q_proj.weight" => qkv(0),
        "self_attn.k_proj.weight" => qkv(1),
        "self_attn.v_proj.weight" => qkv(2),
        "self_attn.q_proj.bias" => tensor(format!("{block}.attn.q_bias")),
        "self_attn.k_proj.bias" => Origin::Zeros(e),
        "self_attn.v_proj.bias" => tensor(format!("{block}.attn.v_bias")),
        _ => {
            let (layer, value) = rest.rsplit_once('.')?;
            let theirs = match layer {
                "self_attn.out_proj" => "attn.proj",
                "layer_norm1" => "norm1",
                "layer_norm2" => "norm2",
                "mlp.fc1" | "mlp.fc2" => layer,
                _ => return None,
            };
            tensor(format!("{block}.{theirs}.{value}"))
        }
    })
}
