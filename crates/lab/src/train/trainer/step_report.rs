//! What is told of a step.

use std::collections::BTreeMap;

use zoetrope_models::weights::ParameterGroup;

use crate::data::BadSample;
use crate::error::LabError;
use crate::train::checkpoint::TrainProgress;
use crate::train::objective::Rewards;

/// One optimizer step.
#[derive(Debug)]
pub struct StepReport {
    /// Name of the stage.
    pub stage: String,
    /// Where the run is after the step.
    pub progress: TrainProgress,
    /// Mean loss of the step in nats per target token (or per sample; with DPO per pair); the running mean when no
    /// sample was of use.
    pub loss: f64,
    /// Global norm of the gradient before clipping.
    pub norm: f32,
    /// That norm of each group that learns.
    pub group_norms: BTreeMap<ParameterGroup, f32>,
    /// Learning rate.
    pub lr: f64,
    /// Tokens of all sequences of the step.
    pub tokens: usize,
    /// Seconds that the step waited for samples to be decoded and prepared.
    pub waited: f64,
    /// For each entry of the mixture that the step had samples of: its name, and the mean loss of its answers in nats
    /// per token (with DPO the mean loss of its pairs).
    pub sources: Vec<(String, f64)>,
    /// Rewards of the pairs of the step, where preferences are learned.
    pub rewards: Option<Rewards>,
    /// Pairs of the step of which only the chosen answer is learned, because the objective is cross-entropy.
    pub chosen_only: u64,
    /// Samples of the step that could not be used.
    pub bad: Vec<BadSample>,
    /// After the steps that are evaluated.
    pub held_out: Option<HeldOutLoss>,
    /// Why the model of this step could not be exported; the run goes on without it.
    pub export_error: Option<LabError>,
}

/// What held-out samples said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldOutLoss {
    /// Mean loss of their answers, in the unit of [`StepReport::loss`].
    pub loss: f64,
    /// Samples that were of use: fewer than the recipe asks for where the file has fewer, or some are bad.
    pub samples: usize,
    /// Rewards of the pairs among them, where preferences are learned.
    pub rewards: Option<Rewards>,
}
