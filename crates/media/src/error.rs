//! The errors of this room, by who must act. Texts name the part and the number; the application adds the file.

/// Why media could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The bytes are not what they say they are.
    #[error("malformed {part}: {what}")]
    Malformed {
        /// Container, box, stream or picture part.
        part: &'static str,
        /// What is wrong, with the number.
        what: String,
    },
    /// Valid, but this build cannot read it; the text names the codec or format and the remedy.
    #[error("unsupported {what}: {remedy}")]
    Unsupported {
        /// Codec, profile or format.
        what: String,
        /// What the user can do.
        remedy: String,
    },
    /// A limit would be exceeded; nothing was allocated for it.
    #[error("{what}: {number} is more than the limit of {limit}")]
    Limit {
        /// Which quantity.
        what: &'static str,
        /// What the file asks for.
        number: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The caller asked for something that is not there.
    #[error("{0}")]
    Caller(String),
    /// A defect of ours or of a decoder.
    #[error("internal error, please report: {0}")]
    Bug(String),
}
