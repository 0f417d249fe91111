//! Requests of the service that begin to be answered, and that end before they are.

use std::sync::Arc;

use super::serving::Service;
use super::turn::Turn;
use crate::answer::FinishReason;
use crate::error::EngineError;
use crate::generate::{GenerateRequest, JobEvent, JobId, JobOutput, Sampling, VisualTokens};

impl Service {
    /// Asks for the replies of requests whose media is encoded.
    pub(super) fn begin_replies(&mut self) {
        let ready = |turn: &Turn| turn.missing.is_empty() && turn.jobs.is_empty();
        let ready: Vec<u64> = self.turns.iter().filter(|(_, turn)| ready(turn)).map(|(id, _)| *id).collect();
        for id in ready {
            let Some(mut turn) = self.turns.remove(&id) else { continue };
            match self.generate(&mut turn) {
                Ok(jobs) => {
                    turn.jobs = jobs;
                    self.turns.insert(id, turn);
                }
                Err(error) => self.fail(turn, Arc::new(error)),
            }
        }
    }

    fn generate(&mut self, turn: &mut Turn) -> Result<Vec<JobId>, EngineError> {
        let prompt = match turn.prompt.take() {
            Some(prompt) => Arc::new(prompt),
            None => Arc::new(turn.conversation.prompt(&[])?),
        };
        let per_token = self.engine.bytes_per_token();
        let budget = turn.conversation.answer_budget(&prompt, turn.request.max_new_tokens, per_token)?;
        let visual = self.visual_tokens(turn)?;
        turn.tell_prompt(turn.conversation.count(&prompt));
        let mut jobs = Vec::with_capacity(turn.request.replies);
        for reply in 0..turn.request.replies.max(1) as u64 {
            let sampling = turn.request.sampling.clone();
            jobs.push(self.engine.generate(GenerateRequest {
                prompt: Arc::clone(&prompt),
                visual: visual.clone(),
                sampling: Sampling { seed: sampling.seed.wrapping_add(reply), ..sampling },
                max_new_tokens: budget,
                stop_texts: turn.request.stop_texts.clone(),
                reuse: None,
                retain: false,
                logits: false,
            })?);
        }
        Ok(jobs)
    }

    /// The visual tokens of every placement, in order.
    fn visual_tokens(&mut self, turn: &Turn) -> Result<Vec<VisualTokens>, EngineError> {
        let model = Arc::clone(self.engine.model());
        let mut all = Vec::new();
        for placement in turn.conversation.placements()? {
            let Some(media) = turn.conversation.encoded_media(placement.media) else {
                return Err(EngineError::Bug(format!("media {} is shown before it is encoded", placement.media)));
            };
            let (identity, words) = (&turn.identities[placement.media], placement.instruction.as_deref());
            let tokens = self.media.visual_tokens(&model, identity, media, words);
            if let Some(store) = &self.store {
                store.note_name(tokens.key, &media.name);
            }
            all.push(tokens);
        }
        Ok(all)
    }

    /// Ends requests whose clients have left, and those that take too long.
    pub(super) fn end_abandoned(&mut self) {
        let most = self.options.wall_time;
        let gone = |turn: &Turn| turn.client.is_gone() || turn.begun.elapsed() > most;
        let gone: Vec<u64> = self.turns.iter().filter(|(_, turn)| gone(turn)).map(|(id, _)| *id).collect();
        if gone.is_empty() {
            return;
        }
        for id in gone {
            let Some(turn) = self.turns.get(&id) else { continue };
            if turn.client.is_gone() {
                if let Some(turn) = self.turns.remove(&id) {
                    self.fail(turn, Arc::new(EngineError::Cancelled));
                }
            } else {
                self.end_in_time(id);
            }
        }
        self.forget_unwanted_encodes();
    }

    /// Ends a request whose time is over: replies that have begun end with what there is.
    fn end_in_time(&mut self, id: u64) {
        let Some(turn) = self.turns.get(&id) else { return };
        let (limit, number) = (self.options.wall_time.as_secs(), turn.begun.elapsed().as_secs());
        let jobs = turn.jobs.clone();
        if jobs.is_empty() {
            if let Some(turn) = self.turns.remove(&id) {
                self.fail(turn, Arc::new(EngineError::Limit { what: "seconds of wall time", number, limit }));
            }
            return;
        }
        for job in jobs {
            match self.engine.end(job, FinishReason::Time) {
                Ok(outputs) => self.tell(outputs),
                Err(error) => self.tell(vec![JobOutput { job, event: JobEvent::Failed(error) }]),
            }
        }
    }
}
