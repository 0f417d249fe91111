//! The errors of this crate, by who must act.

use std::path::PathBuf;

use zoetrope_engine::EngineError;
use zoetrope_models::error::ModelError;

/// Why training or evaluation stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A recipe or a sample does not make sense.
    #[error("{0}")]
    Caller(String),
    /// A file could not be read or written.
    #[error("{}: {what}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        what: String,
    },
    /// The model refused.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The tensor library refused.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The loss is no longer a finite number.
    #[error("the loss became {loss} at step {step}; lower the learning rate")]
    Diverged {
        /// Step, from 0.
        step: usize,
        /// The loss.
        loss: f64,
    },
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
}
