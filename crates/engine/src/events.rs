//! What a caller sees while a request runs, and how it can stop it.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Tensor;
use zoetrope_models::contract::features::{Features, Patches};
use zoetrope_models::contract::media_plan::MediaPlan;
use zoetrope_models::contract::prompt::Prompt;

use crate::generate::TokenLogprobs;

/// Something happened. Counts are of the whole request.
#[derive(Clone, Debug)]
pub enum Event {
    /// All new media are open and planned; nothing is decoded yet.
    Planned(Vec<MediaPlan>),
    /// Subtitles of new media were found.
    Subtitles {
        /// The file or text track.
        name: String,
        /// Cues.
        cues: usize,
    },
    /// The features of new media come from a file; nothing of it is decoded.
    Stored {
        /// Number of the picture or video in the conversation, from 0.
        media: usize,
        /// The file.
        file: PathBuf,
    },
    /// Frames decoded and prepared.
    Decoding {
        /// Frames so far.
        done: usize,
        /// Frames planned.
        total: usize,
    },
    /// With [`Trace`](crate::Options::trace): frames ready for the encoder.
    Patches {
        /// Number of the picture or video in the conversation, from 0.
        media: usize,
        /// Their patches.
        patches: Patches,
    },
    /// With [`Trace`](crate::Options::trace): what the encoder gave.
    Features {
        /// Number of the picture or video in the conversation, from 0.
        media: usize,
        /// The features.
        features: Features,
    },
    /// Frames encoded.
    Encoding {
        /// Frames so far.
        done: usize,
        /// Frames planned.
        total: usize,
    },
    /// With [`Trace`](crate::Options::trace): the visual tokens `[V, D]` of new media.
    VisualTokens {
        /// Number of the picture or video in the conversation, from 0.
        media: usize,
        /// The tokens.
        tokens: Tensor,
    },
    /// The prompt is ready.
    Prompt(Arc<Prompt>),
    /// Prompt tokens read by the language model.
    Prefill {
        /// Tokens so far, those reused from earlier turns included.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// With [`Trace`](crate::Options::trace): the logits `[W]` from which the next token is chosen, untouched by
    /// sampling.
    Logits(Vec<f32>),
    /// A token was chosen.
    Token(u32),
    /// Log-probabilities of the token of the event before, where they were asked for.
    Logprobs(TokenLogprobs),
    /// More of the answer; all pieces together are the answer.
    Text(String),
}

/// Receives events; `Break` cancels the request.
pub type EventHandler<'w> = dyn FnMut(&Event) -> ControlFlow<()> + 'w;

/// A handler that ignores everything.
pub fn ignore(_: &Event) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A switch that any thread (a Ctrl-C handler, a closed connection) can throw to cancel a request.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not thrown.
    pub fn new() -> Self {
        CancelFlag::default()
    }

    /// Asks the request to stop at the next step.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Makes the flag ready for another request.
    pub fn reset(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}
