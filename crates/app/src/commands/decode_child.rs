//! `zoetrope decode-child`: the other end of a decoder that runs in a process of its own.

use crate::failure::Failure;

/// Serves the parent on standard input and output until it closes them.
pub(crate) fn run() -> Result<(), Failure> {
    Ok(zoetrope_media::child::serve(std::io::stdin().lock(), std::io::stdout().lock())?)
}
