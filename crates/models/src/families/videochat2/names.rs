//! Tensor names. Ours are those of the stage files where a layer of ours has the same form; where they lie in published
//! files is told here. A file may hold only some of them: the others come from an earlier stage or from the language
//! model's own folder.

use std::sync::Arc;

use super::config::{Config, LanguageModel};
use crate::layers::QFormer;
use crate::processing::GgufNames;
use crate::weights::{NameTable, Origin, TensorNames};

/// What the language model's tensors may begin with.
const PREFIXES: [&str; 3] = ["llama_model.", "mistral_model.", "phi_model."];

/// Layers of BERT-base.
const BERT_LAYERS: usize = 12;

/// The published layouts: with low-rank parts apart (as PEFT stores them), and merged or without any.
pub(super) fn tables(c: &Config) -> Vec<NameTable> {
    let table = |layout, matches: fn(&TensorNames<'_>) -> bool, apart: bool| {
        let names = Names { config: c.clone(), apart };
        NameTable { layout, matches, origin: Arc::new(move |name| names.origin(name)), ignored, ..NameTable::ours() }
    };
    let heads = (c.language.heads, c.language.kv_heads);
    let gguf = GgufNames {
        architecture: "llama",
        decoder: "language_model.model.",
        head: "language_model.lm_head.weight",
        interleaved: Some(heads),
    };
    // Files of Phi-3 are of another architecture, with fused matrices.
    let gguf = (c.model != LanguageModel::Phi3).then(|| gguf.table());
    let own = [
        table("stage files, low-rank parts apart", has_base_model, true),
        table("stage files or a language model, whole", |names| !has_base_model(names), false),
    ];
    own.into_iter().chain(gguf).collect()
}

fn has_base_model(names: &TensorNames<'_>) -> bool {
    PREFIXES.iter().any(|prefix| names.any_with_prefix(&format!("{prefix}base_model.")))
}

/// What stages keep beside the model: heads of the first stage, and what changes no result.
fn ignored(name: &str) -> bool {
    const HEADS: [&str; 6] = ["qformer.cls.", "vision_proj.", "text_proj.", "itm_head.", "temp", "vision_temp_embed"];
    let idle = |rest: &str| QFormer::is_idle(rest, BERT_LAYERS);
    HEADS.iter().any(|head| name.starts_with(head))
        || name.strip_prefix("qformer.bert.").is_some_and(idle)
        || name.ends_with("rotary_emb.inv_freq")
}

/// From our names to a layout's.
struct Names {
    config: Config,
    /// Whether low-rank parts lie beside the matrices.
    apart: bool,
}

impl Names {
    fn origin(&self, name: &str) -> Option<Origin> {
        if let Some(rest) = name.strip_prefix("language_model.") {
            return Some(self.language(rest));
        }
        if let Some(rest) = name.strip_prefix("projector.") {
            return Some(Origin::Tensor(format!("{}_proj.{rest}", self.config.model.prefix())));
        }
        if let Some(head) = name.strip_suffix(".decoder.bias").filter(|head| *head == "qformer.cls.predictions") {
            // Files have it under one or both names.
            let names = [format!("{head}.decoder.bias"), format!("{head}.bias")];
            return Some(Origin::FirstOf(names.map(Origin::Tensor).to_vec()));
        }
        Some(self.block(name).unwrap_or_else(|| Origin::Tensor(name.to_string())))
    }

    /// Tensors of a block of the encoder; `None` for other tensors.
    fn block(&self, name: &str) -> Option<Origin> {
        let (number, rest) = name.strip_prefix("vision_encoder.encoder.blocks.")?.split_once('.')?;
        let (part, value) = rest.rsplit_once('.')?;
        let theirs = |part: &str| format!("vision_encoder.encoder.blocks.{number}.{part}");
        let d = self.config.vision.hidden;
        let rows = |first: usize| Origin::Rows(theirs("attn.qkv.weight"), first * d..(first + 1) * d);
        Some(match (part, value) {
            ("layer_norm1", value) => Origin::Tensor(theirs(&format!("norm1.{value}"))),
            ("layer_norm2", value) => Origin::Tensor(theirs(&format!("norm2.{value}"))),
            ("self_attn.q_proj", "weight") => rows(0),
            ("self_attn.k_proj", "weight") => rows(1),
            ("self_attn.v_proj", "weight") => rows(2),
            ("self_attn.q_proj", _) => Origin::Tensor(theirs("attn.q_bias")),
            ("self_attn.k_proj", _) => Origin::Zeros(d),
            ("self_attn.v_proj", _) => Origin::Tensor(theirs("attn.v_bias")),
            ("self_attn.out_proj", value) => Origin::Tensor(theirs(&format!("attn.proj.{value}"))),
            (part, value) => Origin::Tensor(theirs(&format!("{part}.{value}"))),
        })
    }

    /// A tensor of the language model: in a stage file, or in its own folder. `name` is as it is there.
    fn language(&self, name: &str) -> Origin {
        let (module, value) = name.rsplit_once('.').unwrap_or((name, ""));
        let prefix = format!("{}_model.", self.config.model.prefix());
        let (fused, rows) = self.fused(module);
        let place = |module: String| {
            let name = format!("{module}.{value}");
            match &rows {
                Some(rows) => Origin::Rows(name, rows.clone()),
                None => Origin::Tensor(name),
            }
        };
        let plain = [place(format!("{prefix}{fused}")), place(fused.clone())];
        if !self.apart {
            return Origin::FirstOf(plain.to_vec());
        }
        let own = format!("{prefix}base_model.model.{fused}");
        let whole = [place(format!("{own}.base_layer")), place(own.clone())];
        if !self.config.model.adapts(module) {
            let [adapted, own] = whole;
            return Origin::FirstOf([own, adapted].into_iter().chain(plain).collect());
        }
        let sum = |base: &Origin| Origin::LowRank {
            base: Box::new(base.clone()),
            down: format!("{own}.lora_A.default.weight"),
            up: format!("{own}.lora_B.default.weight"),
            scale: self.config.lora_scale,
        };
        let sums = whole.iter().chain(&plain).map(sum).collect::<Vec<_>>();
        Origin::FirstOf(sums.into_iter().chain(whole).chain(plain).collect())
    }

    /// The module that holds one of ours, and which of its rows.
    fn fused(&self, module: &str) -> (String, Option<std::ops::Range<usize>>) {
        let c = &self.config.language;
        let (q, kv, i) = (c.heads * c.head_dim, c.kv_heads * c.head_dim, c.intermediate);
        let parts = [
            ("self_attn.q_proj", "self_attn.qkv_proj", 0..q),
            ("self_attn.k_proj", "self_attn.qkv_proj", q..q + kv),
            ("self_attn.v_proj", "self_attn.qkv_proj", q + kv..q + 2 * kv),
            ("mlp.gate_proj", "mlp.gate_up_proj", 0..i),
            ("mlp.up_proj", "mlp.gate_up_proj", i..2 * i),
        ];
        let part = parts.into_iter().find(|(ours, ..)| module.ends_with(ours));
        match part.filter(|_| self.config.model == LanguageModel::Phi3) {
            Some((ours, theirs, rows)) => (module.replace(ours, theirs), Some(rows)),
            None => (module.to_string(), None),
        }
    }
}

impl LanguageModel {
    /// Whether a module of the decoder has a low-rank part in the published stages.
    fn adapts(self, module: &str) -> bool {
        let names: &[&str] = match self {
            LanguageModel::Vicuna => &["q_proj", "v_proj"],
            LanguageModel::Mistral => {
                &["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"]
            }
            // Its fused matrices have other names than those that the authors adapted.
            LanguageModel::Phi3 => &["o_proj", "down_proj", "lm_head"],
        };
        names.iter().any(|name| module.ends_with(name))
    }
}
