//! What a request asks of the service, and what it is told.

use std::sync::Arc;

use crate::answer::{FinishReason, MediaUsage, Timings, TokenCounts};
use crate::error::EngineError;
use crate::generate::{Sampling, TokenLogprobs};

/// How replies to a turn are made.
#[derive(Clone, Debug, Default)]
pub struct TurnRequest {
    /// How tokens are chosen. The second reply is drawn with the seed after this one, and so on.
    pub sampling: Sampling,
    /// Most tokens of a reply.
    pub max_new_tokens: usize,
    /// A reply ends before any of these texts.
    pub stop_texts: Vec<String>,
    /// Number of replies.
    pub replies: usize,
}

/// What is done before the first token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Frames are decoded and prepared.
    Decode,
    /// Frames go through the vision encoder.
    Encode,
    /// Prompt tokens are read.
    Read,
}

/// Something happened to a request.
#[derive(Debug)]
pub enum TurnEvent {
    /// So many frames or tokens of a stage are done.
    Progress {
        /// What is done.
        stage: Stage,
        /// So far.
        done: usize,
        /// In all.
        total: usize,
    },
    /// The prompt is known.
    Prompt(TokenCounts),
    /// A token was chosen.
    Token {
        /// Which reply, from 0.
        reply: usize,
        /// The token.
        id: u32,
    },
    /// The log-probability of the token before this event, where it was asked for.
    Logprobs {
        /// Which reply, from 0.
        reply: usize,
        /// The token and the likeliest ones.
        logprobs: Box<TokenLogprobs>,
    },
    /// More of a reply.
    Text {
        /// Which reply, from 0.
        reply: usize,
        /// The text.
        text: String,
    },
    /// A reply is complete.
    Finished {
        /// Which reply, from 0.
        reply: usize,
        /// Why it ended.
        reason: FinishReason,
        /// Its tokens, the end mark included.
        tokens: usize,
    },
    /// All replies are complete. The last event.
    Done(Box<TurnReport>),
    /// The request failed. The last event. Requests that show the same media share its error.
    Failed(Arc<EngineError>),
}

/// What a request showed the model and cost.
#[derive(Clone, Debug, Default)]
pub struct TurnReport {
    /// The media in order of appearance.
    pub media: Vec<MediaUsage>,
    /// Tokens by modality. `generated` counts all replies, `reused` is that of the first.
    pub tokens: TokenCounts,
    /// Seconds by stage.
    pub timings: Timings,
}

/// Who waits for a request.
pub trait TurnClient: Send {
    /// Takes an event; must not block.
    fn event(&mut self, event: TurnEvent);
    /// Whether nobody waits any more: the request is cancelled then.
    fn is_gone(&self) -> bool;
}
