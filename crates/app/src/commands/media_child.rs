//! `zoetrope media-child`: the process in which files of strangers are opened and decoded. Not a command for people: it
//! does nothing unless another zoetrope has started it.

use std::process::ExitCode;

/// Serves the program that started this process until it closes standard input.
pub(crate) fn run() -> ExitCode {
    match zoetrope_media::sandbox::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(2),
    }
}
