//! The lines of `metrics.jsonl`: what a run writes, and what every report is made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "lowercase")]
pub(super) enum Record {
    /// The first line: what is trained.
    Run(RunRecord),
    /// An optimizer step.
    Step(StepMetrics),
    /// A measurement on held-out data.
    Eval(EvalMetrics),
    /// An answer of the model as it was at some step.
    Example(ExampleRecord),
    /// A record of a later version; it is left alone.
    #[serde(other)]
    Unknown,
}

impl Record {
    /// Finished steps when it was written; `None` where it belongs to no step.
    pub(super) fn step(&self) -> Option<u64> {
        match self {
            Record::Step(StepMetrics { step, .. })
            | Record::Eval(EvalMetrics { step, .. })
            | Record::Example(ExampleRecord { step, .. }) => Some(*step),
            Record::Run(_) | Record::Unknown => None,
        }
    }
}

/// What a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Steps that the recipe asks for.
    pub steps: u64,
    /// The recipe as people read it.
    pub recipe: String,
}

/// One optimizer step. Losses are means in nats per target token, with DPO per pair. A value that is not finite is
/// `null` in the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Finished steps, this one among them.
    pub step: u64,
    /// Name of the stage.
    pub stage: String,
    /// Mean loss of the step.
    #[serde(deserialize_with = "number_or_nan")]
    pub loss: f64,
    /// Mean loss of the targets of each kind of data (name of the file or of the kind of question).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "numbers_or_nan")]
    pub loss_by_kind: BTreeMap<String, f64>,
    /// Learning rate of each group of parameters that is learned.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "numbers_or_nan")]
    pub lr: BTreeMap<String, f64>,
    /// Norm of the gradient over all parameters, before clipping.
    #[serde(deserialize_with = "number_or_nan")]
    pub gradient_norm: f64,
    /// Norm of the gradient of each group of parameters, before clipping.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "numbers_or_nan")]
    pub gradient_norm_by_group: BTreeMap<String, f64>,
    /// Samples of the step.
    pub samples: u64,
    /// Tokens of the step that went through the language model, text and visual.
    #[serde(default)]
    pub tokens: u64,
    /// Tokens of the step a second; 0 where tokens are not counted.
    #[serde(default)]
    pub tokens_per_second: f64,
    /// Seconds that the step took.
    pub seconds: f64,
    /// Seconds of them that the step waited for samples to be decoded and prepared.
    #[serde(default)]
    pub waited: f64,
    /// Resident memory of the process in bytes after the step; 0 where the system does not tell.
    #[serde(default)]
    pub memory: u64,
    /// Mean rewards of pairs, where preferences are learned: "chosen", "rejected", "margin", "accuracy".
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "numbers_or_nan")]
    pub rewards: BTreeMap<String, f64>,
}

/// A measurement on held-out data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EvalMetrics {
    /// Finished steps.
    pub step: u64,
    /// Name of the set.
    pub set: String,
    /// Items of the set that were measured.
    pub items: u64,
    /// Values by name: "accuracy", "chance", "loss", "accuracy of order".
    #[serde(deserialize_with = "numbers_or_nan")]
    pub scores: BTreeMap<String, f64>,
}

/// An answer of the model, as it lies in the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ExampleRecord {
    pub(super) step: u64,
    pub(super) question: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expected: Option<String>,
    pub(super) answer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) correct: Option<bool>,
    /// The frames that were seen, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) frames: Vec<FrameRecord>,
}

/// A frame that was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct FrameRecord {
    /// Name of the JPEG file below the run's folder of pictures.
    pub(super) file: String,
    /// Seconds from the beginning of the clip; `None` of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<f64>,
}

/// JSON has no NaN; a loss that is no number is written as `null`.
fn number_or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}

fn numbers_or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let numbers = BTreeMap::<String, Option<f64>>::deserialize(from)?;
    Ok(numbers.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
}
