//! A training run: its plan, the model of each stage, the loop over steps, and what it writes.

mod answers;
mod averages;
mod evaluate;
mod gradients;
mod metrics;
mod outputs;
mod place;
mod plan;
mod progress;
mod run;
mod stage;
mod step_report;
#[cfg(test)]
mod tests;

pub(super) use self::gradients::{Accumulated, PackWork, unusable};
pub(super) use self::plan::{PlannedStage, RunPlan};
pub use self::run::Trainer;
pub(super) use self::stage::{Origin, StageModel};
pub use self::step_report::{HeldOutLoss, StepReport};
