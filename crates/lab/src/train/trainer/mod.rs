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
mod stage_model;
mod step_report;
#[cfg(test)]
mod tests;

pub(super) use self::gradients::{Accumulated, PackWork};
pub(super) use self::plan::RunPlan;
pub use self::run::Trainer;
pub(super) use self::stage_model::{Origin, StageModel};
pub use self::step_report::{HeldOutLoss, StepReport};
