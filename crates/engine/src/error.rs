//! The errors of this crate, by who must act.

use zoetrope_media::MediaError;
use zoetrope_models::error::ModelError;
use zoetrope_models::weights::Weights;
use zoetrope_text::TextError;

/// Why a request failed. Texts name the part and the number.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The caller asked for something that does not fit together.
    #[error("{0}")]
    Caller(String),
    /// A limit would be exceeded; nothing was allocated for it.
    #[error("{what}: {number} is more than the limit of {limit}")]
    Limit {
        /// Which quantity.
        what: &'static str,
        /// What was asked.
        number: u64,
        /// What is allowed.
        limit: u64,
    },
    /// One medium of the request cannot be read; the others may be fine.
    #[error("{name}: {error}")]
    Media {
        /// The medium, as the caller named it.
        name: String,
        /// What the `media` crate says.
        error: MediaError,
    },
    /// The model computes what is no number: the fault of its weights.
    #[error("the model computes values that are not numbers: {0}")]
    NotANumber(String),
    /// The `models` crate.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The `text` crate.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The tensor library.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The caller cancelled before the first token of the answer.
    #[error("cancelled")]
    Cancelled,
    /// A defect of ours.
    #[error("internal error, please report: {0}")]
    Bug(String),
}

impl EngineError {
    /// The error for logits that are not numbers, with what is wrong with `weights`.
    pub(crate) fn not_a_number(weights: &Weights) -> Self {
        EngineError::NotANumber(match weights.not_finite() {
            Some((name, value)) => {
                format!("{value} in the weight {name}; training has diverged, or 16 bits overflowed")
            }
            None => "its weights are numbers, but too large for the type that they are held as".to_string(),
        })
    }

    /// A caller's error of this text.
    pub(crate) fn caller(text: impl Into<String>) -> Self {
        EngineError::Caller(text.into())
    }
}
