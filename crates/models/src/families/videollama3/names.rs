//! Tensor names: ours are those of transformers' `video_llama_3`; the other published layouts are rewritten here.

use crate::parts::weights::{Dialect, Names, Rename, Twin};

/// Layouts that checkpoints come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `model.vision_model.`, `model.projector.`, `model.language_model.`.
    Transformers,
    /// `model.vision_encoder.`, `model.mm_projector.`, `model.` (hub checkpoints of the authors).
    Original,
    /// As `Original` with a doubled `vision_encoder.` (checkpoints written by the authors' training code).
    Training,
}

impl Layout {
    /// The layout that a checkpoint's tensor names show.
    pub(super) fn of(names: &Names<'_>) -> Layout {
        if names.any("model.language_model.") {
            Layout::Transformers
        } else if names.any("model.vision_encoder.vision_encoder.") {
            Layout::Training
        } else {
            Layout::Original
        }
    }

    /// Our name to the layout's name.
    pub(super) fn rename(self) -> Rename {
        match self {
            Layout::Transformers => |name| name.to_string(),
            Layout::Original => |name| original(name, "model.vision_encoder."),
            Layout::Training => |name| original(name, "model.vision_encoder.vision_encoder."),
        }
    }

    /// The word `zoetrope info` shows.
    pub(super) fn word(self) -> &'static str {
        match self {
            Layout::Transformers => "transformers",
            Layout::Original => "original",
            Layout::Training => "original, as its training code writes it",
        }
    }
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

/// The language part in GGUF files.
pub(super) const GGUF: Dialect = Dialect { architecture: "qwen2", twin };

/// Parts of a layer: ours, and as GGUF files name them.
const PARTS: [(&str, &str); 9] = [
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

/// Where a tensor of ours lies in a GGUF file; rows of q and k are in the same order in both.
fn twin(name: &str) -> Option<Twin> {
    const WORDS: &str = "model.language_model.embed_tokens.weight";
    let whole = |name: &str, tied, words| Some(Twin { name: name.to_string(), tied, words });
    match name {
        WORDS => return whole("token_embd.weight", None, true),
        "lm_head.weight" => return whole("output.weight", Some(WORDS), true),
        "model.language_model.norm.weight" => return whole("output_norm.weight", None, false),
        _ => {}
    }
    let (layer, rest) = name.strip_prefix("model.language_model.layers.")?.split_once('.')?;
    let (part, value) = rest.rsplit_once('.')?;
    let (_, theirs) = PARTS.iter().find(|(ours, _)| *ours == part)?;
    whole(&format!("blk.{layer}.{theirs}.{value}"), None, false)
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
        for (ours, theirs) in rows {
            assert_eq!(Layout::Original.rename()(ours), theirs);
            assert_eq!(Layout::Transformers.rename()(ours), ours);
        }
        let rows = [
            ("model.language_model.layers.3.mlp.up_proj.weight", "blk.3.ffn_up.weight"),
            ("model.language_model.layers.12.self_attn.q_proj.bias", "blk.12.attn_q.bias"),
            ("model.language_model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight"),
            ("model.language_model.norm.weight", "output_norm.weight"),
        ];
        for (ours, theirs) in rows {
            assert_eq!(twin(ours).map(|twin| twin.name).as_deref(), Some(theirs));
        }
        assert!(twin("model.vision_model.encoder.layers.0.mlp.fc1.weight").is_none());
        let doubled = Layout::Training.rename()("model.vision_model.embeddings.patch_embedding.bias");
        assert_eq!(doubled, "model.vision_encoder.vision_encoder.embeddings.patch_embedding.bias");
    }
}
