//! Tensor names. Ours are the published ones, with the vision encoder's query, key and value apart.

use std::sync::Arc;

use super::config::Config;
use crate::checkpoint::Checkpoint;
use crate::error::ModelResult;
use crate::layers::QFormer;
use crate::processing::GgufNames;
use crate::weights::{NameTable, Origin};

/// Where the vision encoder lies: under our own names, and as published.
pub(super) const VISION: &str = "model.vision_tower";
const PUBLISHED_VISION: &str = "model.vision_tower.vision_tower";

/// Where the Q-Former lies.
pub(super) const QFORMER: &str = "model.vlm_att_encoder.bert";

/// The published layout and ours.
pub(super) fn tables(checkpoint: &Checkpoint) -> ModelResult<Vec<NameTable>> {
    let config = Config::load(checkpoint)?;
    let (width, heads) = (config.vision.hidden, (config.language.heads, config.language.kv_heads));
    Ok(vec![
        NameTable {
            layout: "original",
            matches: |names| names.any_with_prefix("model.vision_tower.vision_tower."),
            origin: Arc::new(move |name| Some(published(width, name))),
            ignored,
            ..NameTable::ours()
        },
        NameTable { matches: |names| names.any_with_prefix("model.vision_tower."), ..NameTable::ours() },
        GgufNames { architecture: "llama", decoder: "model.", head: "lm_head.weight", interleaved: Some(heads) }
            .table(),
    ])
}

/// Tensors of published files that no result depends on: what the last layer's words of the Q-Former pass through, the
/// 40th block of the vision encoder, which EVA-CLIP has and nobody runs, tables of cosines.
fn ignored(name: &str) -> bool {
    let block = name.strip_prefix(PUBLISHED_VISION).and_then(|rest| rest.strip_prefix(".blocks."));
    let idle = name.strip_prefix(QFORMER).and_then(|rest| rest.strip_prefix('.'));
    name.ends_with(".rotary_emb.inv_freq")
        || block.is_some_and(|rest| rest.starts_with("39."))
        || idle.is_some_and(|rest| QFormer::is_idle(rest, 12))
}

fn published(width: usize, name: &str) -> Origin {
    let own = name.strip_prefix(VISION).and_then(|rest| rest.strip_prefix('.'));
    match own {
        Some(rest) => vision(width, rest),
        None => Origin::Tensor(name.to_string()),
    }
}

/// EVA has query, key and value in one matrix, and no bias of keys.
fn vision(width: usize, name: &str) -> Origin {
    let tensor = |rest: String| Origin::Tensor(format!("{PUBLISHED_VISION}.{rest}"));
    if let Some(rest) = name.strip_prefix("patch_embedding.") {
        return tensor(format!("patch_embed.proj.{rest}"));
    }
    let Some((block, rest)) = name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')) else {
        return tensor(name.to_string());
    };
    let qkv = |part: usize| {
        Origin::Rows(format!("{PUBLISHED_VISION}.blocks.{block}.attn.qkv.weight"), part * width..(part + 1) * width)
    };
    let inside = |rest: &str| tensor(format!("blocks.{block}.{rest}"));
    match rest {
        "self_attn.q_proj.weight" => qkv(0),
        "self_attn.k_proj.weight" => qkv(1),
        "self_attn.v_proj.weight" => qkv(2),
        "self_attn.q_proj.bias" => inside("attn.q_bias"),
        "self_attn.k_proj.bias" => Origin::Zeros(width),
        "self_attn.v_proj.bias" => inside("attn.v_bias"),
        _ => {
            let renamed =
                [("self_attn.out_proj.", "attn.proj."), ("layer_norm1.", "norm1."), ("layer_norm2.", "norm2.")];
            let found = renamed.iter().find_map(|(ours, theirs)| Some(format!("{theirs}{}", rest.strip_prefix(ours)?)));
            inside(&found.unwrap_or_else(|| rest.to_string()))
        }
    }
}
