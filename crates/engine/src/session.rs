//! A conversation with one model: a client of the engine that asks one thing after the other.

use std::sync::Arc;
use std::time::Instant;

use zoetrope_models::contract::prompt::{Message, Prompt, Role};
use zoetrope_models::contract::{Processor, VideoLanguageModel, VisualRows};

use crate::answer::{Answer, FinishReason, TokenCounts};
use crate::conversation::{ContentPart, Conversation, NewMedia};
use crate::error::EngineError;
use crate::events::{Event, EventHandler};
use crate::generate::{
    Engine, EngineOptions, GenerateRequest, Generated, JobEvent, JobId, JobOutput, RetainedKv, VisualTokens,
};
use crate::limits::{Limits, check_limit};
use crate::media_input::FeatureIndex;
use crate::request::{Options, RequestContext};

/// A conversation. Media are encoded once, and the part of the prompt that stays the same is read once.
pub struct Session {
    engine: Engine,
    limits: Limits,
    conversation: Conversation,
    /// Keys and values of the last turn.
    retained: Option<RetainedKv>,
}

/// Frames of the whole request: how many are done, of how many.
#[derive(Default)]
struct FrameCounts {
    /// Decoded frames of media that are complete.
    before: usize,
    decoded: usize,
    total: usize,
}

impl Session {
    /// An empty conversation.
    ///
    /// # Errors
    /// When the device cannot hold a KV cache of the model's type.
    pub fn new(model: Arc<dyn VideoLanguageModel>, limits: Limits) -> Result<Self, EngineError> {
        let conversation = Conversation::new(Arc::clone(model.processor()), limits.clone());
        let options = EngineOptions { cache_bytes: limits.cache_bytes, ..EngineOptions::default() };
        Ok(Session { engine: Engine::new(model, options)?, limits, conversation, retained: None })
    }

    /// Looks for stored features of the media to come; `None` encodes them all. Where the index has a store, new
    /// features and the keys and values of prompts are kept there.
    pub fn use_index(&mut self, index: Option<FeatureIndex>) {
        self.engine.use_store(index.as_ref().and_then(FeatureIndex::store).cloned());
        self.conversation.use_index(index);
    }

    /// The conversation so far.
    pub fn messages(&self) -> &[Message] {
        self.conversation.messages()
    }

    #[cfg(test)]
    pub(crate) fn conversation_for_test(&mut self) -> &mut Conversation {
        &mut self.conversation
    }

    pub(crate) fn into_conversation(self) -> Conversation {
        self.conversation
    }

    /// What needs no weights.
    pub fn processor(&self) -> &Arc<dyn Processor> {
        self.engine.model().processor()
    }

    /// Forgets messages and media, the system message too.
    ///
    /// # Errors
    /// For a defect of ours.
    pub fn reset(&mut self) -> Result<(), EngineError> {
        self.conversation.clear();
        self.retained.take().map_or(Ok(()), |retained| self.engine.release(retained))
    }

    /// Adds a message without answering it. Fails, and adds nothing, when it is over a limit.
    ///
    /// # Errors
    /// [`EngineError::Limit`].
    pub fn push(&mut self, role: Role, content: Vec<ContentPart>) -> Result<(), EngineError> {
        self.conversation.push(role, content)
    }

    /// Adds a user's message and answers it. When that fails, or is cancelled before the first word, the conversation
    /// is as it was before.
    ///
    /// # Errors
    /// [`EngineError`], by who must act.
    pub fn ask(
        &mut self,
        content: Vec<ContentPart>,
        options: &Options,
        handler: &mut EventHandler<'_>,
    ) -> Result<Answer, EngineError> {
        let before = self.conversation.len();
        let answer = self.push(Role::User, content).and_then(|()| self.answer(options, handler));
        let unanswered = answer.as_ref().is_ok_and(|a| a.finish_reason == FinishReason::Cancelled && a.ids.is_empty());
        if answer.is_err() || unanswered {
            self.conversation.truncate(before);
        }
        answer
    }

    /// Answers the conversation as it stands and adds the answer to it.
    ///
    /// # Errors
    /// [`EngineError`], by who must act.
    pub fn answer(&mut self, options: &Options, handler: &mut EventHandler<'_>) -> Result<Answer, EngineError> {
        options.sampling.check()?;
        check_limit("tokens of the answer", options.max_new_tokens, self.limits.answer_tokens)?;
        let limits = self.limits.clone();
        let mut request = RequestContext::new(&limits, options, handler);
        let (text, finish_reason, tokens, ids) = match self.encode_and_generate(&mut request) {
            Ok((generated, tokens)) => {
                self.conversation.add(Message::text(Role::Assistant, generated.text.clone()));
                (generated.text, generated.finish_reason, tokens, generated.ids)
            }
            Err(EngineError::Cancelled) => (String::new(), FinishReason::Cancelled, TokenCounts::default(), Vec::new()),
            Err(error) => return Err(error),
        };
        request.timings.total = request.begun.elapsed().as_secs_f64();
        let media = self.conversation.usage();
        Ok(Answer { text, finish_reason, media, tokens, timings: request.timings, ids })
    }

    fn encode_and_generate(
        &mut self,
        request: &mut RequestContext<'_, '_>,
    ) -> Result<(Generated, TokenCounts), EngineError> {
        self.encode_new_media(request)?;
        let prompt = Arc::new(self.conversation.prompt(&[])?);
        let per_token = self.engine.bytes_per_token();
        let budget = self.conversation.answer_budget(&prompt, request.options.max_new_tokens, per_token)?;
        let visual = self.visual_tokens(request)?;
        request.emit(&Event::Prompt(Arc::clone(&prompt)))?;
        let counts = self.conversation.count(&prompt);
        let generated = self.generate(request, prompt, visual, budget)?;
        request.timings.prefill = generated.prefill;
        request.timings.generation = generated.generation;
        let counts = TokenCounts { reused: generated.reused, generated: generated.ids.len(), ..counts };
        Ok((generated, counts))
    }

    /// Opens, plans and encodes the media that are new.
    fn encode_new_media(&mut self, request: &mut RequestContext<'_, '_>) -> Result<(), EngineError> {
        let begun = Instant::now();
        let new = self.conversation.plan_new(&request.options.plan)?;
        if new.is_empty() {
            return Ok(());
        }
        request.timings.open = begun.elapsed().as_secs_f64();
        self.conversation.check_room(&new, request.options.max_new_tokens, self.engine.bytes_per_token())?;
        for (name, cues) in new.iter().filter_map(|media| media.captions.clone()) {
            request.emit(&Event::Subtitles { name, cues })?;
        }
        request.emit(&Event::Planned(new.iter().map(|media| media.plan.clone()).collect()))?;
        let fresh = new.iter().filter(|media| media.stored.is_none());
        let total = fresh.map(|media| media.plan.frames.len()).sum();
        let mut frames = FrameCounts { total, ..FrameCounts::default() };
        for media in new {
            match self.conversation.take_stored(&media) {
                Some(file) => request.emit(&Event::Stored { media: media.number, file })?,
                None => self.encode(request, media, &mut frames)?,
            }
        }
        Ok(())
    }

    fn encode(
        &mut self,
        request: &mut RequestContext<'_, '_>,
        media: NewMedia,
        frames: &mut FrameCounts,
    ) -> Result<(), EngineError> {
        let planned = media.plan.frames.len();
        let job = self.engine.encode(&media.name, &media.source, media.plan.clone(), request.options.trace);
        loop {
            for JobOutput { event, .. } in self.steps(request, job)? {
                match event {
                    JobEvent::Prepared { decoded, patches } => {
                        frames.decoded = frames.before + decoded;
                        let event = Event::Decoding { done: frames.decoded, total: frames.total };
                        self.emit(request, job, &event)?;
                        if let Some(patches) = patches {
                            self.emit(request, job, &Event::Patches { media: media.number, patches })?;
                        }
                    }
                    JobEvent::Encoded { features } => {
                        if let Some(features) = features {
                            self.emit(request, job, &Event::Features { media: media.number, features })?;
                        }
                        let event = Event::Encoding { done: frames.decoded, total: frames.total };
                        self.emit(request, job, &event)?;
                    }
                    JobEvent::MediaReady(encoded, timings) => {
                        frames.before += encoded.plan.frames.len();
                        frames.total -= planned - encoded.plan.frames.len();
                        request.timings.decode += timings.decode;
                        request.timings.encode += timings.encode;
                        self.conversation.take_encoded(&media, *encoded);
                        return Ok(());
                    }
                    JobEvent::Failed(error) => return Err(error),
                    _ => {}
                }
            }
        }
    }

    /// The visual tokens of every placement, in order.
    fn visual_tokens(&mut self, request: &mut RequestContext<'_, '_>) -> Result<Vec<VisualTokens>, EngineError> {
        let model = Arc::clone(self.engine.model());
        let mut all = Vec::new();
        for placement in self.conversation.placements()? {
            let (tokens, new) = self.conversation.visual_tokens(&model, &placement)?;
            if new && request.options.trace {
                let rows = tokens.rows.rows(0..tokens.rows.count()?)?;
                let event = Event::VisualTokens { media: placement.media, tokens: rows };
                request.emit(&event)?;
            }
            if let Some(store) = self.conversation.store() {
                store.note_name(tokens.key, &self.conversation.name(placement.media));
            }
            all.push(tokens);
        }
        Ok(all)
    }

    fn generate(
        &mut self,
        request: &mut RequestContext<'_, '_>,
        prompt: Arc<Prompt>,
        visual: Vec<VisualTokens>,
        max_new_tokens: usize,
    ) -> Result<Generated, EngineError> {
        let options = request.options;
        let job = self.engine.generate(GenerateRequest {
            prompt,
            visual,
            sampling: options.sampling.clone(),
            max_new_tokens,
            stop_texts: options.stop_texts.clone(),
            reuse: self.retained.take(),
            retain: true,
            logits: options.trace,
        })?;
        let mut written = 0;
        loop {
            let outputs = match self.engine.step().and_then(|outputs| request.check().map(|()| outputs)) {
                Ok(outputs) => outputs,
                Err(error) => return self.stop(request, job, error, written),
            };
            // A text that came with a cancellation belongs to the answer.
            let mut cancelled = false;
            for JobOutput { event, .. } in outputs {
                let event = match event {
                    JobEvent::Prefill { done, total } => Event::Prefill { done, total },
                    JobEvent::Logits(logits) => Event::Logits(logits),
                    JobEvent::Token(id) => {
                        written += 1;
                        Event::Token(id)
                    }
                    JobEvent::Logprobs(logprobs) => Event::Logprobs(*logprobs),
                    JobEvent::Text(text) => Event::Text(text),
                    JobEvent::Finished(generated) => return Ok(self.take(*generated)),
                    JobEvent::Failed(error) => return Err(error),
                    _ => continue,
                };
                cancelled |= request.show(&event).is_break();
                if cancelled && written == 0 {
                    break;
                }
            }
            if cancelled {
                return self.stop(request, job, EngineError::Cancelled, written);
            }
        }
    }

    /// Ends a reply from outside. What was written so far is the answer; before the first token it is `error`.
    fn stop(
        &mut self,
        request: &mut RequestContext<'_, '_>,
        job: JobId,
        error: EngineError,
        written: usize,
    ) -> Result<Generated, EngineError> {
        let reason = match error {
            EngineError::Cancelled => FinishReason::Cancelled,
            EngineError::Limit { .. } => FinishReason::Time,
            _ => FinishReason::Length,
        };
        let mut result = None;
        for JobOutput { event, .. } in self.engine.end(job, reason)? {
            match event {
                JobEvent::Text(text) if written > 0 => {
                    let _ = request.show(&Event::Text(text));
                }
                JobEvent::Finished(generated) => result = Some(self.take(*generated)),
                _ => {}
            }
        }
        match result {
            Some(generated) if written > 0 && matches!(error, EngineError::Cancelled | EngineError::Limit { .. }) => {
                Ok(generated)
            }
            _ => Err(error),
        }
    }

    /// Keeps the keys and values of a finished reply.
    fn take(&mut self, mut generated: Generated) -> Generated {
        self.retained = generated.retained.take();
        generated
    }

    /// One step of the engine for a job that is the only one.
    fn steps(&mut self, request: &RequestContext<'_, '_>, job: JobId) -> Result<Vec<JobOutput>, EngineError> {
        match request.check() {
            Ok(()) => self.engine.step(),
            Err(error) => {
                self.engine.end(job, FinishReason::Cancelled)?;
                Err(error)
            }
        }
    }

    fn emit(&mut self, request: &mut RequestContext<'_, '_>, job: JobId, event: &Event) -> Result<(), EngineError> {
        match request.emit(event) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.engine.end(job, FinishReason::Cancelled)?;
                Err(error)
            }
        }
    }
}
