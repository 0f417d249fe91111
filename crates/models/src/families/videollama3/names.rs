//! Tensor names: ours are those of transformers' `video_llama_3`; other published layouts are told here.

use std::sync::Arc;

use crate::processing::GgufNames;
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
        GgufNames {
            architecture: "qwen2",
            decoder: "model.language_model.",
            head: "lm_head.weight",
            interleaved: None,
        }
        .table(),
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
        let words = "model.language_model.layers.3.mlp.up_proj.weight";
        assert_eq!(of(3, words), tensor("blk.3.ffn_up.weight"));
        assert_eq!(of(3, "model.vision_model.encoder.layers.0.mlp.fc1.weight"), None);
    }
}
