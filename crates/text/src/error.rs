//! The errors of this crate, by who must act.

use std::path::PathBuf;

/// Why text could not be turned into ids, a prompt or back. Texts name the file, the part and the number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The caller asked for something that does not fit together.
    #[error("{0}")]
    Caller(String),
    /// A file of the checkpoint is missing or damaged.
    #[error("{}: {what}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A limit would be exceeded.
    #[error("{what}: {number} is more than the limit of {limit}")]
    Limit {
        /// Which quantity, with its unit.
        what: &'static str,
        /// What was asked.
        number: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Valid, but not done here.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The chat template cannot be compiled.
    #[error("chat template has a syntax error: {0}")]
    TemplateSyntax(String),
    /// The chat template refused these messages with `raise_exception`; the text is the template's own.
    #[error("chat template refused the messages: {0}")]
    TemplateRefused(String),
    /// The chat template used up its allowance of steps.
    #[error("chat template did not finish within {fuel} steps")]
    TemplateFuel {
        /// Steps it was given.
        fuel: u64,
    },
    /// The chat template failed while it ran (an undefined value, an unknown filter, ...).
    #[error("chat template failed: {0}")]
    TemplateFailed(String),
    /// A defect of ours or of a library.
    #[error("internal error, please report: {0}")]
    Bug(String),
}

impl TextError {
    /// An error of the file at this path.
    pub fn file(file: impl Into<PathBuf>, what: impl ToString) -> Self {
        TextError::File { file: file.into(), what: what.to_string() }
    }
}
