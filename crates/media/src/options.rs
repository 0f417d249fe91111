//! How to open a clip: limits, threads and the choice of decoder.

use std::path::PathBuf;

use crate::limits::Limits;

/// Which decoders may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecoderChoice {
    /// The embedded ones, and the system's FFmpeg for what they do not read.
    #[default]
    Auto,
    /// Only the embedded ones.
    Embedded,
    /// Only the system's FFmpeg. Images stay embedded.
    Ffmpeg,
}

/// How to open a clip.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// What the file may cost.
    pub limits: Limits,
    /// Threads that decode side by side, at least 1.
    pub threads: usize,
    /// Which decoders may be used.
    pub decoder: DecoderChoice,
    /// The program that answers to `decode-child` (see [`crate::decoder_process`]); the running program when `None`.
    pub child_program: Option<PathBuf>,
}

impl Default for OpenOptions {
    /// Default limits, every core, automatic choice of decoder.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        OpenOptions { limits: Limits::default(), threads, decoder: DecoderChoice::Auto, child_program: None }
    }
}
