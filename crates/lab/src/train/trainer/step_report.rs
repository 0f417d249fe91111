//! What is told of a step.

use std::collections::BTreeMap;
use std::time::Duration;

use zoetrope_models::weights::ParameterGroup;
use zoetrope_system::process_memory;

use crate::data::BadSample;
use crate::error::LabError;
use crate::train::checkpoint::TrainProgress;
use crate::train::recipe::Stage;
use crate::train::report::StepMetrics;

/// One optimizer step.
#[derive(Debug)]
pub struct StepReport {
    /// Name of the stage.
    pub stage: String,
    /// Where the run is after the step.
    pub progress: TrainProgress,
    /// Mean loss of the step in nats per target token (or per sample); the running mean when no sample was of use.
    pub loss: f64,
    /// Global norm of the gradient before clipping.
    pub norm: f32,
    /// That norm of each group that learns.
    pub group_norms: BTreeMap<ParameterGroup, f32>,
    /// Learning rate.
    pub lr: f64,
    /// Tokens of all sequences of the step.
    pub tokens: usize,
    /// For each entry of the mixture that the step had samples of: its name, and the mean loss of its answers in nats
    /// per token.
    pub sources: Vec<(String, f64)>,
    /// Samples of the step that could not be used.
    pub bad: Vec<BadSample>,
    /// Mean loss of the held-out samples, after the steps that are evaluated.
    pub held_out: Option<f64>,
    /// Why the model of this step could not be exported; the run goes on without it.
    pub export_error: Option<LabError>,
}

impl StepReport {
    /// What the metrics keep of a step of `stage` that took `time`.
    pub(super) fn metrics(&self, stage: &Stage, time: Duration) -> StepMetrics {
        let norm = |(group, norm): (&ParameterGroup, &f32)| (group.name().to_string(), f64::from(*norm));
        let lr = |group: &ParameterGroup| (group.name().to_string(), self.lr * stage.lr_share(*group));
        StepMetrics {
            step: self.progress.step as u64,
            stage: self.stage.clone(),
            loss: self.loss,
            loss_by_kind: self.sources.iter().cloned().collect(),
            lr: self.group_norms.keys().map(lr).collect(),
            gradient_norm: f64::from(self.norm),
            gradient_norm_by_group: self.group_norms.iter().map(norm).collect(),
            samples: stage.batch as u64,
            tokens: self.tokens as u64,
            tokens_per_second: self.tokens as f64 / time.as_secs_f64(),
            seconds: time.as_secs_f64(),
            memory: process_memory::now().unwrap_or(0),
        }
    }
}
