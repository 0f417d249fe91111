//! `zoetrope decode-child`: the decoder process that a clip starts for AV1.

use crate::failure::Failure;
use crate::output::Unwritten;

/// Serves the parent on standard input and output until it closes them.
pub(crate) fn run() -> Result<(), Failure> {
    let served = zoetrope_media::decoder_process::run(std::io::stdin().lock(), std::io::stdout().lock());
    Ok(served.map_err(Unwritten)?)
}
