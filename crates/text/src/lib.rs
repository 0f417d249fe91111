//! Text room: contract stubs while it is being written.
#![forbid(unsafe_code)]
/// Tokenizer.
#[derive(Debug)]
pub struct Tokenizer;
/// Errors of this room.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// Caller.
    #[error("{0}")]
    Caller(String),
}
