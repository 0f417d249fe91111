//! Names of a decoder of the Llama form in GGUF files.

use std::sync::Arc;

use crate::weights::{NameTable, Origin};

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

/// Where a family's decoder is in a GGUF file.
#[derive(Clone, Copy, Debug)]
pub struct GgufNames {
    /// `general.architecture`.
    pub architecture: &'static str,
    /// What our names of the decoder begin with, with a dot at the end.
    pub decoder: &'static str,
    /// Our name of the output matrix.
    pub head: &'static str,
    /// Query and key heads, where the rows of their matrices are in the interleaved rotary order: llama.cpp permutes
    /// those of architecture "llama" (Llama, Vicuna, Mistral), and of no other.
    pub interleaved: Option<(usize, usize)>,
}

impl GgufNames {
    /// The layout of such files.
    pub fn table(self) -> NameTable {
        NameTable {
            layout: "GGUF",
            matches: |_| false,
            origin: Arc::new(move |name| self.origin(name)),
            // Factors of a scaled rotary embedding, which follow from the configuration.
            ignored: |name| name == "rope_freqs.weight",
            adds: false,
            gguf_architecture: Some(self.architecture),
        }
    }

    /// Where a tensor of the decoder lies; `None` for all others.
    fn origin(&self, name: &str) -> Option<Origin> {
        let words = Origin::Vocabulary("token_embd.weight".to_string());
        if name == self.head {
            return Some(Origin::FirstOf(vec![Origin::Vocabulary("output.weight".to_string()), words]));
        }
        let rest = name.strip_prefix(self.decoder)?;
        match rest {
            "embed_tokens.weight" => return Some(words),
            "norm.weight" => return Some(Origin::Tensor("output_norm.weight".to_string())),
            _ => {}
        }
        let (layer, rest) = rest.strip_prefix("layers.")?.split_once('.')?;
        let (part, value) = rest.rsplit_once('.')?;
        let (_, theirs) = PARTS.iter().find(|(ours, _)| *ours == part)?;
        let theirs = format!("blk.{layer}.{theirs}.{value}");
        Some(match (self.interleaved, part) {
            (Some((heads, _)), "self_attn.q_proj") => Origin::InterleavedRope(theirs, heads),
            (Some((_, heads)), "self_attn.k_proj") => Origin::InterleavedRope(theirs, heads),
            _ => Origin::Tensor(theirs),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_order_of_rows() {
        let names = GgufNames { architecture: "qwen2", decoder: "model.", head: "lm_head.weight", interleaved: None };
        let llama = GgufNames { architecture: "llama", interleaved: Some((8, 2)), ..names };
        let tensor = |name: &str| Some(Origin::Tensor(name.to_string()));
        for (ours, theirs) in [
            ("model.layers.3.mlp.up_proj.weight", "blk.3.ffn_up.weight"),
            ("model.layers.12.self_attn.v_proj.bias", "blk.12.attn_v.bias"),
            ("model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight"),
            ("model.norm.weight", "output_norm.weight"),
        ] {
            assert_eq!((names.origin(ours), llama.origin(ours)), (tensor(theirs), tensor(theirs)));
        }
        let q = "model.layers.1.self_attn.q_proj.weight";
        assert_eq!(names.origin(q), tensor("blk.1.attn_q.weight"));
        assert_eq!(llama.origin(q), Some(Origin::InterleavedRope("blk.1.attn_q.weight".to_string(), 8)));
        let k = "model.layers.1.self_attn.k_proj.weight";
        assert_eq!(llama.origin(k), Some(Origin::InterleavedRope("blk.1.attn_k.weight".to_string(), 2)));
        assert_eq!(names.origin("vision.layers.0.mlp.up_proj.weight"), None);
    }
}
