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
    /// The loss is no longer a finite number, or grows.
    #[error("{what} at step {step}; lower the learning rate; {}", last_good(last.as_ref()))]
    Diverged {
        /// Step, from 0.
        step: usize,
        /// What happened.
        what: String,
        /// Step and folder of the last checkpoint.
        last: Option<(usize, PathBuf)>,
    },
    /// Too many samples cannot be used.
    #[error("{bad} of {seen} samples cannot be used, more than max_bad = {most}; the last one: {example}")]
    BadData {
        /// Samples that cannot be used.
        bad: u64,
        /// Samples so far.
        seen: u64,
        /// The share that may be bad.
        most: f64,
        /// A bad sample with its reason.
        example: String,
    },
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
}

fn last_good(last: Option<&(usize, PathBuf)>) -> String {
    match last {
        Some((step, folder)) => format!("the last good checkpoint is that of step {step}, {}", folder.display()),
        None => "there is no checkpoint yet".to_string(),
    }
}
