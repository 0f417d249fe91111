//! The service: one step at a time for all requests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use zoetrope_models::contract::VideoLanguageModel;

use super::client::{Stage, TurnClient, TurnEvent, TurnRequest};
use super::media_cache::MediaCache;
use super::prepared::PreparedTurn;
use super::turn::Turn;
use crate::answer::FinishReason;
use crate::conversation::NewMedia;
use crate::error::EngineError;
use crate::generate::{Engine, EngineOptions, JobEvent, JobId, JobOutput};
use crate::media_input::{EncodeTimings, EncodedMedia, FeatureIndex, MediaKey, keep};
use crate::store::ModelStore;

/// What a service may use.
#[derive(Clone, Copy, Debug)]
pub struct ServiceOptions {
    /// The engine's share.
    pub engine: EngineOptions,
    /// Bytes of encoded media that are kept for later requests.
    pub media_bytes: usize,
    /// Media that are decoded and encoded at once; others wait, so that decoded frames stay bounded.
    pub encode_at_once: usize,
    /// Most time of one request, from its submission to its last token.
    pub wall_time: Duration,
}

/// How busy a service is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceState {
    /// Requests that are not finished.
    pub requests: usize,
    /// Of these, requests whose media is not encoded yet.
    pub encoding: usize,
    /// Sequences that run.
    pub running: usize,
    /// Sequences that wait for room.
    pub waiting: usize,
    /// Bytes of the KV cache.
    pub cache_bytes: usize,
    /// Of these, bytes that sequences and shared beginnings hold.
    pub cache_used: usize,
    /// Bytes of encoded media.
    pub media_bytes: usize,
}

/// Media that some requests wait for.
pub(super) struct Encode {
    pub(super) key: MediaKey,
    /// Its job, once it has begun.
    pub(super) job: Option<JobId>,
    media: NewMedia,
    decoded: usize,
}

/// Many requests over one engine.
pub struct Service {
    pub(super) engine: Engine,
    pub(super) options: ServiceOptions,
    pub(super) media: MediaCache,
    pub(super) turns: BTreeMap<u64, Turn>,
    pub(super) encodes: VecDeque<Encode>,
    pub(super) store: Option<ModelStore>,
    next: u64,
}

impl Service {
    /// A service without requests.
    ///
    /// # Errors
    /// When the device cannot hold a KV cache of the model's type.
    pub fn new(model: Arc<dyn VideoLanguageModel>, options: ServiceOptions) -> Result<Self, EngineError> {
        let (engine, media) = (Engine::new(model, options.engine)?, MediaCache::new(options.media_bytes));
        let (turns, encodes) = (BTreeMap::new(), VecDeque::new());
        Ok(Service { engine, options, media, turns, encodes, store: None, next: 0 })
    }

    /// Keeps features of films, and keys and values of prompts that show them, in the store of `index`, where it has
    /// one. They are found again by requests that are prepared with it. Media without a digest of its content is never
    /// kept.
    pub fn use_index(&mut self, index: Option<&FeatureIndex>) {
        self.store = index.and_then(FeatureIndex::store).cloned();
        self.engine.use_store(self.store.clone());
    }

    /// How busy it is.
    pub fn state(&self) -> ServiceState {
        let (running, waiting) = self.engine.sequences();
        let (cache_bytes, cache_used) = self.engine.cache_use();
        ServiceState {
            requests: self.turns.len(),
            encoding: self.turns.values().filter(|turn| !turn.missing.is_empty()).count(),
            running,
            waiting,
            cache_bytes,
            cache_used,
            media_bytes: self.media.bytes(),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        self.turns.is_empty() && self.engine.is_idle()
    }

    /// Whether a step would only look whether media is encoded.
    pub fn waits_for_media(&self) -> bool {
        self.engine.waits_for_media()
    }

    /// Takes a request. Everything else is told to its client by [`Service::step`].
    pub fn submit(&mut self, mut prepared: PreparedTurn, request: TurnRequest, client: Box<dyn TurnClient>) {
        let media = std::mem::take(&mut prepared.media);
        let mut turn = Turn::new(prepared, request, client);
        if media.iter().any(|media| !self.media.has(&media.identity.key)) {
            let (wanted, per_token) = (turn.request.max_new_tokens, self.engine.bytes_per_token());
            if let Err(error) = turn.conversation.check_room(&media, wanted, per_token) {
                return self.fail(turn, Arc::new(error));
            }
        }
        for media in media {
            let (number, frames) = (media.number, media.plan.frames.len());
            let key = media.identity.key;
            if let Some(known) = self.media.get(&key) {
                turn.conversation.set_encoded(number, known);
            } else if turn.conversation.take_stored(&media).is_some() {
                if let Some(stored) = turn.conversation.encoded_media(number) {
                    self.media.insert(key, Arc::clone(stored));
                }
            } else {
                turn.wait_for(number, key, frames);
                if !self.encodes.iter().any(|encode| encode.key == key) {
                    self.encodes.push_back(Encode { key, job: None, media, decoded: 0 });
                }
            }
        }
        self.next += 1;
        self.turns.insert(self.next, turn);
    }

    /// Does the next piece of work for all requests and tells their clients what came of it.
    pub fn step(&mut self) {
        self.end_abandoned();
        self.begin_encodes();
        self.begin_replies();
        match self.engine.step() {
            Ok(outputs) => self.tell(outputs),
            Err(error) => self.fail_all(&Arc::new(error)),
        }
    }

    /// Lets media be encoded, in order, as many at once as the options allow.
    fn begin_encodes(&mut self) {
        let running = self.encodes.iter().filter(|encode| encode.job.is_some()).count();
        let waiting = self.encodes.iter_mut().filter(|encode| encode.job.is_none());
        for encode in waiting.take(self.options.encode_at_once.saturating_sub(running)) {
            let NewMedia { name, source, plan, .. } = &encode.media;
            encode.job = Some(self.engine.encode(name, source, plan.clone(), false));
        }
    }

    pub(super) fn tell(&mut self, outputs: Vec<JobOutput>) {
        for JobOutput { job, event } in outputs {
            match self.encodes.iter().position(|encode| encode.job == Some(job)) {
                Some(at) => self.tell_encode(at, event),
                None => self.tell_reply(job, event),
            }
        }
    }

    fn tell_encode(&mut self, at: usize, event: JobEvent) {
        let (stage, done) = match event {
            JobEvent::Prepared { decoded, .. } => (Stage::Decode, decoded),
            JobEvent::Encoded { .. } => (Stage::Encode, self.encodes[at].decoded),
            JobEvent::MediaReady(media, timings) => return self.media_ready(at, Arc::new(*media), timings),
            JobEvent::Failed(error) => return self.media_failed(at, &Arc::new(error)),
            _ => return,
        };
        let encode = &mut self.encodes[at];
        encode.decoded = done;
        let key = encode.key;
        for turn in self.turns.values_mut().filter(|turn| turn.waits_for(&key)) {
            turn.tell_frames(stage, done);
        }
    }

    fn media_ready(&mut self, at: usize, media: Arc<EncodedMedia>, timings: EncodeTimings) {
        let Some(Encode { key, media: planned, .. }) = self.encodes.remove(at) else { return };
        let has_changed = planned.has_changed();
        if let Some(store) = self.store.as_ref().filter(|_| !has_changed) {
            let processor = self.engine.model().processor();
            keep(store, planned.digest.as_ref(), &planned.plan, &media, processor.as_ref());
        }
        for turn in self.turns.values_mut().filter(|turn| turn.waits_for(&key)) {
            if has_changed {
                turn.forget_content(&key);
            }
            turn.take_media(&key, &media, timings);
        }
        if !has_changed {
            self.media.insert(key, media);
        }
    }

    fn media_failed(&mut self, at: usize, error: &Arc<EngineError>) {
        let Some(Encode { key, .. }) = self.encodes.remove(at) else { return };
        let of_it: Vec<u64> = self.turns.iter().filter(|(_, turn)| turn.waits_for(&key)).map(|(id, _)| *id).collect();
        for id in of_it {
            if let Some(turn) = self.turns.remove(&id) {
                self.fail(turn, Arc::clone(error));
            }
        }
        self.forget_unwanted_encodes();
    }

    fn tell_reply(&mut self, job: JobId, event: JobEvent) {
        let owner = |(id, turn): (&u64, &Turn)| turn.jobs.iter().position(|own| *own == job).map(|reply| (*id, reply));
        let Some((id, reply)) = self.turns.iter().find_map(owner) else { return };
        let Some(turn) = self.turns.get_mut(&id) else { return };
        match event {
            JobEvent::Prefill { done, total } if reply == 0 => {
                turn.client.event(TurnEvent::Progress { stage: Stage::Read, done, total });
            }
            JobEvent::Token(id) => turn.client.event(TurnEvent::Token { reply, id }),
            JobEvent::Logprobs(logprobs) => turn.client.event(TurnEvent::Logprobs { reply, logprobs }),
            JobEvent::Text(text) => turn.client.event(TurnEvent::Text { reply, text }),
            JobEvent::Finished(generated) => {
                if turn.take_reply(reply, &generated)
                    && let Some(turn) = self.turns.remove(&id)
                {
                    turn.finish();
                }
            }
            JobEvent::Failed(error) => {
                if let Some(mut turn) = self.turns.remove(&id) {
                    turn.jobs.retain(|own| *own != job);
                    self.fail(turn, Arc::new(error));
                }
            }
            _ => {}
        }
    }

    /// Ends the jobs of a request and tells its client why.
    pub(super) fn fail(&mut self, mut turn: Turn, error: Arc<EngineError>) {
        for job in std::mem::take(&mut turn.jobs) {
            // What it wrote so far goes with it.
            if let Err(error) = self.engine.end(job, FinishReason::Cancelled) {
                tracing::error!("a reply could not be ended: {error}");
            }
        }
        turn.client.event(TurnEvent::Failed(error));
    }

    /// A pass failed for all that run.
    fn fail_all(&mut self, error: &Arc<EngineError>) {
        tracing::error!("a step failed: {error}");
        let running: Vec<u64> =
            self.turns.iter().filter(|(_, turn)| !turn.jobs.is_empty()).map(|(id, _)| *id).collect();
        for id in running {
            if let Some(turn) = self.turns.remove(&id) {
                self.fail(turn, Arc::clone(error));
            }
        }
    }

    /// Ends the encoding of what nobody waits for any more.
    pub(super) fn forget_unwanted_encodes(&mut self) {
        let turns = &self.turns;
        let (wanted, unwanted): (VecDeque<Encode>, VecDeque<Encode>) = std::mem::take(&mut self.encodes)
            .into_iter()
            .partition(|encode| turns.values().any(|turn| turn.waits_for(&encode.key)));
        self.encodes = wanted;
        for job in unwanted.into_iter().filter_map(|encode| encode.job) {
            if let Err(error) = self.engine.end(job, FinishReason::Cancelled) {
                tracing::error!("encoding could not be ended: {error}");
            }
        }
    }
}
