//! What a stage learns for.

use serde::{Deserialize, Serialize};

use crate::train::objective::ContrastiveWeights;

/// Which objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectiveKind {
    /// The words of the answers: their cross-entropy.
    #[default]
    CrossEntropy,
    /// What media and their captions have in common, without the decoder: contrast, matching and captioning of a bridge
    /// that has heads for them (BLIP-2, arXiv 2301.12597).
    Contrastive,
}

/// The objective of a stage. All but `kind` is of the contrastive one alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveOptions {
    /// Which one.
    pub kind: ObjectiveKind,
    /// Weight of the contrast: media and captions that belong together are alike, all others of the step are not; 1
    /// when left out.
    pub contrast: Option<f64>,
    /// Weight of the matching: whether a caption is that of the media, with wrong ones that are hard to tell; 1 when
    /// left out.
    pub matching: Option<f64>,
    /// Weight of the captioning: the words of the caption, one after the other; 1 when left out.
    pub captioning: Option<f64>,
    /// Share of a word's target that is spread over all words; 0.1 when left out.
    pub label_smoothing: Option<f64>,
}

impl ObjectiveOptions {
    /// Weights of the losses between media and captions, where they are the objective.
    pub(in crate::train) fn contrastive(&self) -> Option<ContrastiveWeights> {
        (self.kind == ObjectiveKind::Contrastive).then(|| ContrastiveWeights {
            contrast: self.contrast.unwrap_or(1.0),
            matching: self.matching.unwrap_or(1.0),
            captioning: self.captioning.unwrap_or(1.0),
            label_smoothing: self.label_smoothing.unwrap_or(0.1),
        })
    }

    /// Whether it is what stages have that say nothing, and that recipes had before there were others.
    pub(super) fn is_default(&self) -> bool {
        *self == ObjectiveOptions::default()
    }
}
