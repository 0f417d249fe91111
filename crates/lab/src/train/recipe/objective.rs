//! What a stage learns for.

use serde::{Deserialize, Serialize};

use crate::train::objective::Dpo;

/// Which objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectiveKind {
    /// The words of the answers: their cross-entropy. Of a pair of preferences, those of the chosen answer.
    #[default]
    CrossEntropy,
    /// Which of two answers is preferred: direct preference optimization (DPO, arXiv 2305.18290).
    Dpo,
}

/// The objective of a stage. All but `kind` is of DPO alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveOptions {
    /// Which one.
    pub kind: ObjectiveKind,
    /// How much a nat between the model and its reference counts; 0.1 when left out.
    pub beta: Option<f64>,
    /// Probability that the rejected answer is the better one; 0 when left out.
    pub label_smoothing: Option<f64>,
    /// Weight of the mean nats of a token of the chosen answer (RPO); 0 when left out.
    pub rpo_alpha: Option<f64>,
    /// Whether the reference's log-probabilities are computed before the stage and stored, instead of in each step.
    /// When left out, only where a step no longer has the reference: it has one where nothing but new adapters learns.
    pub precompute_ref_log_probs: Option<bool>,
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

    /// Whether it is what stages have that say nothing, and that recipes had before there were others.
    pub(super) fn is_default(&self) -> bool {
        *self == ObjectiveOptions::default()
    }
}
