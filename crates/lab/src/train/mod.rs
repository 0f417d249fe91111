//! Training: samples to packed batches, one forward shared with inference, AdamW and Muon, checkpoints that resume.
//!
//! The whole loop is [`run`]; what it learns from is a function from a number to a [`Sample`](crate::sample::Sample).

mod batch;
mod checkpoint;
mod export;
mod muon;
mod optimizer;
mod recipe;
mod run;
mod tokens;

pub use batch::{Batch, loss};
pub use checkpoint::{Checkpoint, Progress};
pub use export::export;
pub use optimizer::{Moments, Optimizer};
pub use recipe::{Recipe, Stage};
pub use run::{Report, run};
pub use tokens::TokenHeads;

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A recipe or a sample does not make sense.
    #[error("{0}")]
    Caller(String),
    /// A file could not be read or written.
    #[error("{}: {what}", file.display())]
    File {
        /// The file.
        file: std::path::PathBuf,
        /// What went wrong.
        what: String,
    },
    /// The model refused.
    #[error(transparent)]
    Model(#[from] zoetrope_models::error::ModelError),
    /// The tensor library refused.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The loss is no longer a number.
    #[error("the loss became {loss} at step {step}; lower the learning rate")]
    Diverged {
        /// Step, from 0.
        step: usize,
        /// The loss.
        loss: f64,
    },
}
