//! Tensor names: ours are those of transformers' `video_llama_3`; other published layouts are told here.

use std::sync::Arc;

use crate::weights::{NameTable, Origin};

/// The published layouts, and the language part in GGUF files.
pub(super) fn tables() -> Vec<NameTable> {
    vec![
        // `model.vision_model.`, `model.projector.`, `model.language_model.`.
        NameTable {
            layout: "transformers",
            matches: |names| names.any_with_prefix("model.language_model."),
            ..NameTable::ours()
        },
        // The original with a doubled `vision_encoder.`.
        NameTable {
            layout: "original, as its training code writes it",
            matches: |names| names.any_with_prefix("model.vision_encoder.vision_encoder."),
            origin: Arc::new(|name| Some(Origin::Tensor(original(name, "model.vision_encoder.vision_encoder.")))),
            ..NameTable::ours()
        },
        // `model.vision_encoder.`, `model.mm_projector.`, `model.` (hub checkpoints of the authors).
        NameTable {
            layout: "original",
            matches: |names| names.any_with_prefix("model.vision_encoder."),
            origin: Arc::new(|name| Some(Origin::Tensor(original(name, "model.vision_encoder.")))),
            ..NameTable::ours()
        },
        NameTable {
            layout: "GGUF",
            matches: |_| false,
            origin: Arc::new(gguf),
            gguf_architecture: Some("qwen2"),
            ..NameTable::ours()
        },
    ]
}

fn original(name: &str, vision: &str) -> String {
    if let Some(rest) = name.strip_prefix("model.vision_model.") {
        format!("{vision}{rest}")
    } else if let Some(rest) = name.strip_prefix("model.projector.") {
        format!("model.mm_projector.{rest}")
    } else if let Some(rest) = name.strip_prefix("model.language_model.") {
        format!("model.{rest}")
    } else {
        name.to_string()
    }
}

/// Parts of a layer: ours, and as GGUF files name them.
const GGUF_PARTS: [(&str, &str); 9] = [
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// Where a tensor of the language part lies in a GGUF file. Rows of q and k are in the same order in both.
fn gguf(name: &str) -> Option<Origin> {
    let words = Origin::Vocabulary("token_embd.weight".to_string());
    match name {
        "model.language_model.embed_tokens.weight" => return Some(words),
        "lm_head.weight" => {
            return Some(Origin::FirstOf(vec![Origin::Vocabulary("output.weight".to_string()), words]));
        }
        "model.language_model.norm.weight" => return Some(Origin::Tensor("output_norm.weight".to_string())),
        _ => {}
    }
    let (layer, rest) = name.strip_prefix("model.language_model.layers.")?.split_once('.')?;
    let (part, value) = rest.rsplit_once('.')?;
    let (_, theirs) = GGUF_PARTS.iter().find(|(ours, _)| *ours == part)?;
    Some(Origin::Tensor(format!("blk.{layer}.{theirs}.{value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_published_layouts() {
        let rows = [
            ("model.vision_model.post_layernorm.bias", "model.vision_encoder.post_layernorm.bias"),
            ("model.projector.readout.2.weight", "model.mm_projector.readout.2.weight"),
            ("model.language_model.layers.3.mlp.up_proj.weight", "model.layers.3.mlp.up_proj.weight"),
            ("lm_head.weight", "lm_head.weight"),
        ];
        let of = |table: usize, name: &str| (tables()[table].origin)(name);
        let tensor = |name: &str| Some(Origin::Tensor(name.to_string()));
        for (ours, theirs) in rows {
            assert_eq!((of(0, ours), of(2, ours)), (tensor(ours), tensor(theirs)));
        }
        let doubled = of(1, "model.vision_model.embeddings.patch_embedding.bias");
        assert_eq!(doubled, tensor("model.vision_encoder.vision_encoder.embeddings.patch_embedding.bias"));
        let rows = [
            ("model.language_model.layers.3.mlp.up_proj.weight", "blk.3.ffn_up.weight"),
            ("model.language_model.layers.12.self_attn.q_proj.bias", "blk.12.attn_q.bias"),
            ("model.language_model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight"),
            ("model.language_model.norm.weight", "output_norm.weight"),
        ];
        for (ours, theirs) in rows {
            assert_eq!(of(3, ours), tensor(theirs));
        }
        assert_eq!(of(3, "model.vision_model.encoder.layers.0.mlp.fc1.weight"), None);
    }
}
