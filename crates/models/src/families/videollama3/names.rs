//! Tensor names: ours are those of transformers' `video_llama_3`; the other published layouts are rewritten here.

use crate::parts::weights::{Names, Rename};

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
        let doubled = Layout::Training.rename()("model.vision_model.embeddings.patch_embedding.bias");
        assert_eq!(doubled, "model.vision_encoder.vision_encoder.embeddings.patch_embedding.bias");
    }
}
