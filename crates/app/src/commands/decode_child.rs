//! `zoetrope decode-child`: the decoder process that a clip starts for AV1.

use crate::failure::Failure;

/// Serves the parent on standard input and output until it closes them.
pub(crate) fn run() -> Result<(), Failure> {
    Ok(zoetrope_media::decoder_process::run(std::io::stdin().lock(), std::io::stdout().lock())?)
}
