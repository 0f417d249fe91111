//! What a caller sees while a request runs, and how it can stop it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zoetrope_models::contract::{Patches, Plan, Prompt, VisualTokens};

/// Something happened. Counts are of the whole request; references live only during the call.
#[derive(Debug)]
pub enum Event<'a> {
    /// All new media are open and planned; nothing is decoded yet.
    Planned(&'a Plan),
    /// Frames decoded.
    Decoding {
        /// Frames so far.
        done: usize,
        /// Frames planned.
        total: usize,
    },
    /// A run of frames of one item, ready for the encoder.
    Patches {
        /// Number of the item in the conversation, from 0.
        item: usize,
        /// The patches and which merged tokens survive.
        patches: &'a Patches,
    },
    /// The same frames, encoded.
    Visual {
        /// Number of the item in the conversation, from 0.
        item: usize,
        /// The surviving tokens.
        tokens: &'a VisualTokens,
    },
    /// Frames encoded.
    Encoding {
        /// Frames so far.
        done: usize,
        /// Frames planned.
        total: usize,
    },
    /// The prompt is ready.
    Prompt(&'a Prompt),
    /// Prompt tokens read by the language model.
    Prefill {
        /// Tokens so far, those reused from earlier turns included.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// The logits `[W]` from which the next token will be chosen, untouched by sampling.
    Logits(&'a [f32]),
    /// A token was chosen.
    Token(u32),
    /// More of the answer; all pieces together are the answer.
    Text(&'a str),
}

/// Receives events; `Break` cancels the request.
pub type Watch<'w> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'w;

/// A watcher that ignores everything.
pub fn ignore(_: Event<'_>) -> ControlFlow<()> {
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
