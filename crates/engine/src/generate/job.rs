//! What the engine is asked to do, and what it tells about it.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use zoetrope_models::contract::features::{Features, Patches};
use zoetrope_models::contract::position::Position;
use zoetrope_models::contract::prompt::{Prompt, PromptToken};

use super::sampler::{Sampling, TokenLogprobs};
use super::visual_tokens::VisualTokens;
use crate::answer::FinishReason;
use crate::error::EngineError;
use crate::media_input::{EncodeTimings, EncodedMedia};

/// Number of a job, unique within an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub(super) u64);

/// What a row of the KV cache was computed from, beside the rows before it: two sequences share a cached prefix as far
/// as these are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CachedRow {
    token: CachedToken,
    position: Position,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum CachedToken {
    Text(u32),
    /// Key of the visual tokens, and the row.
    Visual(u128, u32),
}

impl CachedRow {
    pub(super) fn new(token: PromptToken, position: Position, visual: &[VisualTokens]) -> Self {
        Self::of(token, position, |placement| visual.get(placement as usize).map_or(0, |tokens| tokens.key))
    }

    /// As [`CachedRow::new`], when only the key of each placement's visual tokens is known.
    pub(super) fn of(token: PromptToken, position: Position, key: impl Fn(u32) -> u128) -> Self {
        let token = match token {
            PromptToken::Text(id) => CachedToken::Text(id),
            PromptToken::Visual { placement, row } => CachedToken::Visual(key(placement), row),
        };
        CachedRow { token, position }
    }

    /// What distinguishes it from other rows, of fixed length.
    pub(super) fn digest_into(&self, digest: &mut Sha256) {
        let (kind, key, number) = match self.token {
            CachedToken::Text(id) => (0, 0, id),
            CachedToken::Visual(key, row) => (1, key, row),
        };
        digest.update([kind, self.position.expert]);
        digest.update(key.to_le_bytes());
        digest.update(number.to_le_bytes());
        digest.update(self.position.id.to_le_bytes());
    }
}

/// Keys and values that outlive their sequence, for the next turn of a conversation.
#[derive(Debug)]
pub struct RetainedKv {
    pub(super) blocks: Vec<u32>,
    pub(super) rows: Vec<CachedRow>,
}

/// A reply to generate.
pub struct GenerateRequest {
    /// What is read.
    pub prompt: Arc<Prompt>,
    /// Its visual tokens, placement by placement.
    pub visual: Vec<VisualTokens>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens of the reply.
    pub max_new_tokens: usize,
    /// The reply ends before any of these texts, besides the model's own.
    pub stop_texts: Vec<String>,
    /// Keys and values of an earlier turn, of which the common beginning is used.
    pub reuse: Option<RetainedKv>,
    /// Whether keys and values are kept for another turn; they come with [`JobEvent::Finished`].
    pub retain: bool,
    /// Whether every token's logits come with its event.
    pub logits: bool,
}

/// A finished reply.
#[derive(Debug)]
pub struct Generated {
    /// The text, equal to all text events together.
    pub text: String,
    /// Ids, a stop token included.
    pub ids: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Prompt rows whose keys and values were reused.
    pub reused: usize,
    /// Seconds until the prompt was read.
    pub prefill: f64,
    /// Seconds from then on.
    pub generation: f64,
    /// Keys and values, when they were to be kept.
    pub retained: Option<RetainedKv>,
}

/// What happened in a step.
#[derive(Debug)]
pub enum JobEvent {
    /// Frames were decoded and prepared; `decoded` so far.
    Prepared {
        /// Frames so far.
        decoded: usize,
        /// The patches, where they were asked for.
        patches: Option<Patches>,
    },
    /// Units were encoded.
    Encoded {
        /// Their features, where they were asked for.
        features: Option<Features>,
    },
    /// Media is ready.
    MediaReady(Box<EncodedMedia>, EncodeTimings),
    /// Prompt rows that are computed or reused.
    Prefill {
        /// Rows so far.
        done: usize,
        /// Rows of the prompt.
        total: usize,
    },
    /// The logits `[W]` from which the next token is chosen, untouched by sampling.
    Logits(Vec<f32>),
    /// A token was chosen.
    Token(u32),
    /// Log-probabilities of the token of the event before, where they were asked for.
    Logprobs(Box<TokenLogprobs>),
    /// More of the reply.
    Text(String),
    /// The reply is complete.
    Finished(Box<Generated>),
    /// The job failed; others go on.
    Failed(EngineError),
}

/// An event and its job.
#[derive(Debug)]
pub struct JobOutput {
    /// The job.
    pub job: JobId,
    /// What happened.
    pub event: JobEvent,
}
