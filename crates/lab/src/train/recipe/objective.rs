//! What a stage learns for.

use serde::{Deserialize, Serialize};

use crate::train::objective::{ContrastiveWeights, Dpo};

/// Which objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectiveKind {
    /// The words of the answers: their cross-entropy. Of a pair of preferences, those of the chosen answer.
    #[default]
    CrossEntropy,
    /// Which of two answers is preferred: direct preference optimization (DPO, arXiv 2305.18290).
    Dpo,
    /// What media and their captions have in common, without the decoder: contrast, matching and captioning of a bridge
    /// that has heads for them (BLIP-2, arXiv 2301.12597).
    Contrastive,
}

/// The objective of a stage. All but `kind` is of one of the kinds alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveOptions {
    /// Which one.
    pub kind: ObjectiveKind,
    /// DPO: how much a nat between the model and its reference counts; 0.1 when left out.
    pub beta: Option<f64>,
    /// DPO: probability that the rejected answer is the better one; 0 when left out. Contrastive: share of a word's
    /// target that is spread over all words; 0.1 when left out.
    pub label_smoothing: Option<f64>,
    /// DPO: weight of the mean nats of a token of the chosen answer (RPO); 0 when left out.
    pub rpo_alpha: Option<f64>,
    /// DPO: whether the reference's log-probabilities are computed before the stage and stored, instead of in each
    /// step. When left out, only where the reference is no longer there in a step: it is where nothing but new adapters
    /// learns.
    pub precompute_ref_log_probs: Option<bool>,
    /// Contrastive: weight of the contrast: media and captions that belong together are alike, all others of the step
    /// are not; 1 when left out.
    pub contrast: Option<f64>,
    /// Contrastive: weight of the matching: whether a caption is that of the media, with wrong ones that are hard to
    /// tell; 1 when left out.
    pub matching: Option<f64>,
    /// Contrastive: weight of the captioning: the words of the caption, one after the other; 1 when left out.
    pub captioning: Option<f64>,
}

/// The default of [`ObjectiveOptions::beta`], which is TRL's.
const BETA: f64 = 0.1;

impl ObjectiveOptions {
    /// Numbers of DPO, where it is the objective.
    pub(in crate::train) fn dpo(&self) -> Option<Dpo> {
        (self.kind == ObjectiveKind::Dpo).then(|| Dpo {
            beta: self.beta.unwrap_or(BETA),
            label_smoothing: self.label_smoothing.unwrap_or(0.0),
            rpo_alpha: self.rpo_alpha.unwrap_or(0.0),
        })
    }

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
