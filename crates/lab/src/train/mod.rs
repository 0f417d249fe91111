//! Training: samples to packs, one forward shared with inference, AdamW and Muon, checkpoints that resume.
//!
//! A [`Trainer`] holds a run. What it learns from is a function from a number to a [`Sample`](crate::sample::Sample).

mod checkpoint;
mod export;
mod lr_schedule;
mod muon;
mod optimizer;
mod pack;
mod probe_heads;
mod recipe;
pub mod report;
mod run_identity;
mod threads;
mod trainer;

pub use checkpoint::{Checkpoint, TrainProgress};
pub use export::export;
pub use optimizer::{Moments, Optimizer};
pub use pack::{Pack, loss};
pub use probe_heads::ProbeHeads;
pub use recipe::{MixEntry, Recipe, Stage};
pub use run_identity::RunIdentity;
pub use threads::limit_library_threads;
pub use trainer::{StepReport, Trainer};
