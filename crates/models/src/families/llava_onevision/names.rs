//! Tensor names: ours are those of transformers' model in memory; the published layouts are told here.

use std::sync::Arc;

use crate::processing::GgufNames;
use crate::weights::{NameTable, Origin, TensorNames};

/// Prefixes of a layout for encoder, projector, newline, decoder and output head.
#[derive(Clone, Copy)]
struct Prefixes {
    vision: &'static str,
    projector: [&'static str; 2],
    newline: &'static str,
    language: &'static str,
    head: &'static str,
}

const OURS: Prefixes = Prefixes {
    vision: "model.vision_tower.",
    projector: ["model.multi_modal_projector.linear_1.", "model.multi_modal_projector.linear_2."],
    newline: "model.image_newline",
    language: "model.language_model.",
    head: "lm_head.",
};

/// llava-hf on disk, as transformers of every version writes it.
const ON_DISK: Prefixes = Prefixes {
    vision: "vision_tower.",
    projector: ["multi_modal_projector.linear_1.", "multi_modal_projector.linear_2."],
    newline: "image_newline",
    language: "language_model.model.",
    head: "language_model.lm_head.",
};

/// lmms-lab.
const ORIGINAL: Prefixes = Prefixes {
    vision: "model.vision_tower.vision_tower.vision_model.",
    projector: ["model.mm_projector.0.", "model.mm_projector.2."],
    newline: "model.image_newline",
    language: "model.",
    head: "lm_head.",
};

/// The published layouts. Versions of transformers before 5 have one more name in the encoder's path.
pub(super) fn tables() -> Vec<NameTable> {
    let deep = |names: &TensorNames<'_>| names.any_with_prefix("vision_tower.vision_model.");
    let on_disk = |names: &TensorNames<'_>| names.any_with_prefix("language_model.model.");
    vec![
        table("original", |names| names.any_with_prefix("model.mm_projector."), ORIGINAL),
        table("transformers 4, on disk", deep, Prefixes { vision: "vision_tower.vision_model.", ..ON_DISK }),
        table("transformers 5, on disk", on_disk, ON_DISK),
        table(
            "transformers 4",
            |names| names.any_with_prefix("model.vision_tower.vision_model."),
            Prefixes { vision: "model.vision_tower.vision_model.", ..OURS },
        ),
        table("transformers 5", |names| names.any_with_prefix("model.language_model."), OURS),
        GgufNames { architecture: "qwen2", decoder: OURS.language, head: "lm_head.weight", interleaved: None }.table(),
    ]
}

fn table(layout: &'static str, matches: fn(&TensorNames<'_>) -> bool, theirs: Prefixes) -> NameTable {
    let origin = move |name: &str| Some(Origin::Tensor(renamed(name, theirs)?));
    NameTable { layout, matches, origin: Arc::new(origin), ignored, ..NameTable::ours() }
}

/// The published name of a tensor of ours.
fn renamed(name: &str, theirs: Prefixes) -> Option<String> {
    if name == OURS.newline {
        return Some(theirs.newline.to_string());
    }
    let pairs = [
        (OURS.vision, theirs.vision),
        (OURS.projector[0], theirs.projector[0]),
        (OURS.projector[1], theirs.projector[1]),
        (OURS.language, theirs.language),
        (OURS.head, theirs.head),
    ];
    pairs.iter().find_map(|(ours, theirs)| name.strip_prefix(ours).map(|rest| format!("{theirs}{rest}")))
}

/// Parts of SigLIP behind the layer that gives the features: its last norm, its pooling head, and the 27th layer where
/// a file still has it.
fn ignored(name: &str) -> bool {
    let unused = [".post_layernorm.", ".vision_model.head.", "vision_tower.head.", ".encoder.layers.26."];
    name.contains("vision_tower.") && (unused.iter().any(|part| name.contains(part)) || name.ends_with(".position_ids"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_published_layouts() {
        let q = "encoder.layers.3.self_attn.q_proj.bias";
        let ours = [
            format!("model.vision_tower.{q}"),
            "model.multi_modal_projector.linear_2.weight".to_string(),
            "model.image_newline".to_string(),
            "model.language_model.layers.3.mlp.up_proj.weight".to_string(),
            "lm_head.weight".to_string(),
        ];
        let layer = "layers.3.mlp.up_proj.weight";
        let on_disk = |vision: &str| {
            let projector = "multi_modal_projector.linear_2.weight".to_string();
            let (language, head) = (format!("language_model.model.{layer}"), "language_model.lm_head.weight");
            [format!("{vision}{q}"), projector, "image_newline".to_string(), language, head.to_string()]
        };
        let original = [
            format!("model.vision_tower.vision_tower.vision_model.{q}"),
            "model.mm_projector.2.weight".to_string(),
            "model.image_newline".to_string(),
            format!("model.{layer}"),
            "lm_head.weight".to_string(),
        ];
        let mut in_memory = ours.clone();
        in_memory[0] = format!("model.vision_tower.vision_model.{q}");
        let want = [original, on_disk("vision_tower.vision_model."), on_disk("vision_tower."), in_memory, ours.clone()];
        for (table, want) in tables().iter().zip(want) {
            let theirs = ours.each_ref().map(|name| (table.origin)(name));
            assert_eq!(theirs, want.map(|name| Some(Origin::Tensor(name))), "{}", table.layout);
            assert_eq!((table.origin)("model.vision_model.x"), None);
        }
    }

    #[test]
    fn layouts_are_told_apart_and_unused_parts_are_known() {
        for (name, layout) in [
            ("model.mm_projector.0.weight", "original"),
            ("vision_tower.vision_model.embeddings.patch_embedding.bias", "transformers 4, on disk"),
            ("language_model.model.norm.weight", "transformers 5, on disk"),
            ("model.vision_tower.vision_model.embeddings.patch_embedding.bias", "transformers 4"),
            ("model.language_model.norm.weight", "transformers 5"),
        ] {
            let (has, any) = (|one: &str| one == name, |prefix: &str| name.starts_with(prefix));
            let names = TensorNames::new(&has, &any);
            let found = tables().into_iter().find(|table| (table.matches)(&names)).unwrap();
            assert_eq!(found.layout, layout, "{name}");
        }
        let unused = ["vision_tower.post_layernorm.bias", "model.vision_tower.vision_tower.vision_model.head.probe"];
        assert!(unused.iter().all(|name| ignored(name)));
        assert!(!ignored("vision_tower.encoder.layers.25.mlp.fc1.bias") && !ignored("stray.post_layernorm.bias"));
    }
}
