//! One request on its way through the service.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use zoetrope_models::contract::prompt::Prompt;

use super::client::{Stage, TurnClient, TurnEvent, TurnReport, TurnRequest};
use super::prepared::PreparedTurn;
use crate::answer::{Timings, TokenCounts};
use crate::conversation::Conversation;
use crate::generate::{Generated, JobId};
use crate::media_input::{EncodeTimings, EncodedMedia, MediaIdentity, MediaKey};

/// A request that waits for its media, or for its replies.
pub(super) struct Turn {
    pub(super) conversation: Conversation,
    pub(super) request: TurnRequest,
    pub(super) client: Box<dyn TurnClient>,
    pub(super) begun: Instant,
    /// The prompt, where it is not that of the conversation.
    pub(super) prompt: Option<Prompt>,
    /// Of all its media, by number.
    pub(super) identities: Vec<MediaIdentity>,
    /// Media that is not encoded yet: its number, its key, and its planned frames.
    pub(super) missing: VecDeque<(usize, MediaKey, usize)>,
    /// The jobs of its replies; empty until its media is encoded.
    pub(super) jobs: Vec<JobId>,
    /// Replies that have ended.
    pub(super) ended: usize,
    /// Frames of media that is encoded, and of all media.
    frames: (usize, usize),
    tokens: TokenCounts,
    timings: Timings,
}

impl Turn {
    pub(super) fn new(prepared: PreparedTurn, request: TurnRequest, client: Box<dyn TurnClient>) -> Self {
        Turn {
            conversation: prepared.conversation,
            request,
            client,
            begun: Instant::now(),
            prompt: prepared.prompt,
            identities: prepared.identities,
            missing: VecDeque::new(),
            jobs: Vec::new(),
            ended: 0,
            frames: (0, 0),
            tokens: TokenCounts::default(),
            timings: Timings { open: prepared.seconds, ..Timings::default() },
        }
    }

    /// Waits for media number `number` of `key`, of which `frames` are planned.
    pub(super) fn wait_for(&mut self, number: usize, key: MediaKey, frames: usize) {
        self.missing.push_back((number, key, frames));
        self.frames.1 += frames;
    }

    /// Whether it waits for the media of `key`.
    pub(super) fn waits_for(&self, key: &MediaKey) -> bool {
        self.missing.iter().any(|(_, own, _)| own == key)
    }

    /// Tells how far the media of `key` is.
    pub(super) fn tell_frames(&mut self, stage: Stage, done: usize) {
        let (before, total) = self.frames;
        self.client.event(TurnEvent::Progress { stage, done: (before + done).min(total), total });
    }

    /// Takes media that is ready, wherever it shows it.
    pub(super) fn take_media(&mut self, key: &MediaKey, media: &Arc<EncodedMedia>, timings: EncodeTimings) {
        let (conversation, frames) = (&mut self.conversation, &mut self.frames);
        self.missing.retain(|(number, own, planned)| {
            if own == key {
                conversation.set_encoded(*number, Arc::clone(media));
                frames.0 += planned;
            }
            own != key
        });
        self.timings.decode += timings.decode;
        self.timings.encode += timings.encode;
    }

    /// The media of `key` has changed while it was decoded: what is computed of it is not that of its content.
    pub(super) fn forget_content(&mut self, key: &MediaKey) {
        for identity in self.identities.iter_mut().filter(|identity| identity.key == *key) {
            *identity = MediaIdentity::of_unknown();
        }
    }

    /// The prompt is known.
    pub(super) fn tell_prompt(&mut self, tokens: TokenCounts) {
        self.tokens = tokens;
        self.client.event(TurnEvent::Prompt(tokens));
    }

    /// A reply has ended; `true` when it was the last.
    pub(super) fn take_reply(&mut self, reply: usize, generated: &Generated) -> bool {
        self.tokens.generated += generated.ids.len();
        if reply == 0 {
            self.tokens.reused = generated.reused;
            self.timings.prefill = generated.prefill;
        }
        self.timings.generation = self.timings.generation.max(generated.generation);
        let (reason, tokens) = (generated.finish_reason, generated.ids.len());
        self.client.event(TurnEvent::Finished { reply, reason, tokens });
        self.ended += 1;
        self.ended == self.jobs.len()
    }

    /// Tells the client that all is done.
    pub(super) fn finish(mut self) {
        let media = self.conversation.usage();
        let total = self.timings.open + self.begun.elapsed().as_secs_f64();
        let timings = Timings { total, ..self.timings };
        self.client.event(TurnEvent::Done(Box::new(TurnReport { media, tokens: self.tokens, timings })));
    }
}
