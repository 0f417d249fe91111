//! Training: samples to packs, one forward shared with inference, AdamW and Muon, checkpoints that resume.
//!
//! A [`Recipe`] says what to train on; a [`Trainer`] holds a run of it.

mod checkpoint;
mod estimate;
mod export;
#[cfg(test)]
mod golden_tests;
mod mixture;
mod objective;
mod optimizer;
mod pack;
mod probe_heads;
pub mod processes;
mod recipe;
pub mod report;
mod trainer;

pub use checkpoint::{Checkpoint, RunIdentity, TrainProgress};
pub use estimate::{DryRun, GroupEstimate, ReferenceEstimate, StageEstimate};
pub use export::export;
pub use objective::{ReferenceProgress, Rewards};
pub use optimizer::{GradientNorms, Moments, Optimizer, Trained};
pub use pack::{Pack, count_tokens, losses};
pub use probe_heads::ProbeHeads;
pub use processes::limit_library_threads;
pub use recipe::{
    EvalOptions, GroupOptions, GroupPrecision, LearnKind, LossPer, MixEntry, ObjectiveKind, ObjectiveOptions,
    OptimizerKind, OptimizerOptions, Recipe, Sampling, Schedule, ScheduleKind, Stage,
};
pub use trainer::{HeldOutLoss, StepReport, Trainer};
