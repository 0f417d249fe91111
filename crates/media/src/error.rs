//! Errors of this crate, sorted by who must act. Texts name the part and the number. The application adds the file.

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
        /// Container, box, stream or part of an image.
        part: &'static str,
        /// What is wrong, with the number.
        what: String,
    },
    /// Valid, but this build cannot read it. The text names the codec or format and the remedy.
    #[error("unsupported {what}: {remedy}")]
    Unsupported {
        /// Codec, profile or format.
        what: String,
        /// What the user can do.
        remedy: String,
    },
    /// A limit would be exceeded. Nothing was allocated for it.
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

/// A [`MediaError::Malformed`].
pub(crate) fn malformed(part: &'static str, what: impl Into<String>) -> MediaError {
    MediaError::Malformed { part, what: what.into() }
}

/// A [`MediaError::Unsupported`] about a format, codec or coding tool that the system's FFmpeg may be able to read.
pub(crate) fn unsupported(what: String) -> MediaError {
    let remedy = "install FFmpeg (apt-get install --no-install-recommends ffmpeg, or point ZOETROPE_FFMPEG at the \
                  program) and it will be used for this file"
        .to_string();
    MediaError::Unsupported { what, remedy }
}
