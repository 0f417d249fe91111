//! The tables of a stage.

use std::path::PathBuf;

use candle_core::DType;
use serde::{Deserialize, Serialize};
use zoetrope_models::weights::{Learn, Precision, WeightType};

use crate::synth::{Difficulty, QuestionKind};

/// What counts alike in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossPer {
    /// Every target token of a step.
    #[default]
    Token,
    /// Every sample of a step, as the mean over its tokens.
    Sample,
}

/// What is learned of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LearnKind {
    /// Nothing.
    Frozen,
    /// Every tensor.
    Full,
    /// A low-rank adapter beside every hidden matrix (LoRA).
    Lora,
}

/// What the matrices of a group are held as; of what is learned as a whole, the type of the products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupPrecision {
    /// 32-bit float.
    F32,
    /// bfloat16. What is learned as a whole keeps f32 weights, moments and gradients, and multiplies in bf16.
    Bf16,
    /// 8-bit integers with scales.
    Int8,
    /// 4-bit integers with a scale for 32.
    Int4,
}

impl GroupPrecision {
    /// What the loader is asked for.
    pub fn precision(self) -> Precision {
        match self {
            GroupPrecision::F32 => DType::F32.into(),
            GroupPrecision::Bf16 => Precision::Packed(WeightType::Bf16),
            GroupPrecision::Int8 => Precision::Packed(WeightType::Int8),
            GroupPrecision::Int4 => Precision::Packed(WeightType::Int4),
        }
    }
}

/// What is done with a part of the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupOptions {
    /// What is learned; everything when left out.
    pub learn: Option<LearnKind>,
    /// Rank of the adapters.
    pub rank: Option<usize>,
    /// The product of an adapter is multiplied by `alpha / rank`; `alpha` is the rank when left out.
    pub alpha: Option<f64>,
    /// Peak learning rate; that of the optimizer when left out.
    pub lr: Option<f64>,
    /// Only tensors learn whose names contain one of these; all of the group when left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// What its matrices are held as, or multiplied in; f32 when left out.
    pub precision: Option<GroupPrecision>,
}

impl GroupOptions {
    /// What is learned, where it is said.
    pub(super) fn learn(&self) -> Option<Learn> {
        let rank = self.rank.unwrap_or(1);
        self.learn.map(|learn| match learn {
            LearnKind::Frozen => Learn::Frozen,
            LearnKind::Full => Learn::Full,
            LearnKind::Lora => Learn::Lora { rank, alpha: self.alpha.unwrap_or(rank as f64) as f32 },
        })
    }
}

/// Which optimizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// AdamW for everything.
    #[default]
    AdamW,
    /// Muon for hidden matrices, AdamW for everything else.
    Muon,
}

/// The optimizer of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerOptions {
    /// Which one.
    pub kind: OptimizerKind,
    /// Peak learning rate of AdamW.
    pub lr: f64,
    /// Peak learning rate of Muon.
    pub muon_lr: Option<f64>,
    /// Decoupled weight decay of matrices (AdamW).
    pub weight_decay: f64,
    /// Decay rate of the first moment (AdamW).
    pub beta1: f64,
    /// Decay rate of the second moment (AdamW).
    pub beta2: f64,
    /// Added to the root of the second moment (AdamW).
    pub eps: f64,
    /// Largest global gradient norm.
    pub clip: f64,
}

impl Default for OptimizerOptions {
    fn default() -> Self {
        OptimizerOptions {
            kind: OptimizerKind::AdamW,
            lr: 0.0,
            muon_lr: None,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            clip: 1.0,
        }
    }
}

/// The form of the learning rate after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// Half a cosine down to `min_ratio`.
    #[default]
    Cosine,
    /// A line down to `min_ratio`.
    Linear,
    /// The peak.
    Constant,
}

/// The learning rate over the steps of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// The form.
    pub kind: ScheduleKind,
    /// Steps of linear warm-up; this or `warmup_share`.
    pub warmup: Option<usize>,
    /// Linear warm-up as a share of the steps.
    pub warmup_share: Option<f64>,
    /// The last learning rate as a share of the peak.
    pub min_ratio: f64,
}

/// How media are sampled; what the checkpoint says where it is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Frames a second.
    pub fps: Option<f64>,
    /// Most frames of a video.
    pub max_frames: Option<usize>,
    /// Most visual tokens of a conversation, before pruning.
    pub max_visual_tokens: Option<usize>,
}

/// One part of a mixture: drawn scenes or a data file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MixEntry {
    /// Name of the [`Difficulty`] of drawn scenes: `one_object`, `pictures`, `easy_clips`, `clips` or `full`.
    pub drawn: Option<String>,
    /// Kinds of questions about drawn scenes; those of the difficulty when left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<QuestionKind>,
    /// A data file, relative to the recipe's folder.
    pub data: Option<PathBuf>,
    /// The folder that media of the data file are named from, relative to the recipe's folder; that of the data file
    /// when left out.
    pub media: Option<PathBuf>,
    /// Weight in the mixture. When no entry has one, an epoch shows every sample of every file once.
    pub weight: Option<f64>,
}

impl MixEntry {
    /// The difficulty of its drawn scenes; `None` for a data file.
    ///
    /// # Errors
    /// When there is no such difficulty.
    pub(in crate::train) fn difficulty(&self) -> Result<Option<Difficulty>, String> {
        let Some(name) = &self.drawn else { return Ok(None) };
        let mut difficulty = Difficulty::named(name)?;
        if !self.kinds.is_empty() {
            difficulty.kinds.clone_from(&self.kinds);
        }
        Ok(Some(difficulty))
    }
}

/// Evaluation on the way: the loss of held-out samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvalOptions {
    /// Steps between two evaluations.
    pub every: usize,
    /// Samples of an evaluation; all of a smaller data file.
    pub samples: usize,
    /// What is held out. Drawn scenes are of the held-out split.
    pub data: Vec<MixEntry>,
}

impl Default for EvalOptions {
    fn default() -> Self {
        EvalOptions { every: 100, samples: 64, data: Vec::new() }
    }
}
