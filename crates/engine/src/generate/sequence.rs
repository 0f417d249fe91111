//! One sequence while it is computed: its tokens, its blocks, its reply.

use std::time::Instant;

use candle_core::Tensor;
use zoetrope_models::contract::position::Position;
use zoetrope_models::contract::prompt::PromptToken;
use zoetrope_models::contract::{VideoLanguageModel, embed};
use zoetrope_models::kv::BLOCK;
use zoetrope_text::Tokenizer;

use super::job::{CachedRow, GenerateRequest, Generated, JobId, RetainedKv};
use super::prefix_cache::{PART, PrefixKey, PrefixKeys, lasting_blocks};
use super::reply::Reply;
use super::sampler::{Sampler, TokenLogprobs, token_logprobs};
use super::scheduler::{MIN_TAIL, SequenceState};
use super::visual_tokens::VisualTokens;
use crate::answer::FinishReason;
use crate::error::EngineError;

/// A sequence that waits or runs.
pub(super) struct Sequence {
    pub(super) id: JobId,
    tokens: Vec<PromptToken>,
    positions: Vec<Position>,
    prompt: usize,
    visual: Vec<VisualTokens>,
    /// Its blocks of the KV cache; empty while it waits.
    pub(super) blocks: Vec<u32>,
    stored: usize,
    reused: usize,
    sampler: Sampler,
    /// How many likeliest tokens are told beside each, and whose texts.
    logprobs: Option<(Tokenizer, usize)>,
    pub(super) reply: Reply,
    budget: usize,
    /// Keys and values of an earlier turn, until it is admitted.
    pub(super) reuse: Option<RetainedKv>,
    pub(super) retain: bool,
    pub(super) logits: bool,
    /// Digests of its prompt, where prefixes are shared.
    pub(super) keys: PrefixKeys,
    /// How many parts of its prompt others may use already.
    pub(super) published: usize,
    /// How many of its full blocks may outlive the process: those up to the last one that shows media, all of which is
    /// known by its content.
    pub(super) lasting: usize,
    /// Up to which of these blocks the disk has them.
    pub(super) readable: usize,
    /// How many of these blocks the disk has or was given.
    pub(super) written: usize,
    begun: Instant,
    prompt_read: Option<Instant>,
}

/// A token that was chosen.
pub(super) struct TakenToken {
    pub(super) id: u32,
    /// The text that may be shown now.
    pub(super) text: String,
    pub(super) logprobs: Option<TokenLogprobs>,
}

impl Sequence {
    pub(super) fn new(
        id: JobId,
        request: GenerateRequest,
        model: &dyn VideoLanguageModel,
    ) -> Result<Self, EngineError> {
        let (info, tokenizer) = (model.processor().info(), model.processor().tokenizer());
        let prompt = request.prompt;
        if prompt.tokens.is_empty() || prompt.positions.len() != prompt.tokens.len() {
            let text = format!("a prompt of {} tokens at {} positions", prompt.tokens.len(), prompt.positions.len());
            return Err(EngineError::Bug(text));
        }
        let text = |token: &PromptToken| if let PromptToken::Text(id) = token { Some(*id) } else { None };
        let ids: Vec<u32> = prompt.tokens.iter().filter_map(text).collect();
        let (sampling, stop) = (request.sampling, &info.stop);
        sampling.check_vocabulary(info.vocabulary)?;
        let mut stop_texts = request.stop_texts;
        let mut stop_ids = &stop.ids[..];
        match (sampling.ignore_eos, &sampling.grammar) {
            (true, None) => stop_ids = &[],
            // Stop ids end the grammar, and come nowhere else.
            (true, Some(_)) => {}
            (false, _) => stop_texts.extend(stop.texts.iter().cloned()),
        }
        let reply = Reply::new(tokenizer, stop_ids, &stop_texts, request.max_new_tokens)?;
        Ok(Sequence {
            id,
            tokens: prompt.tokens.clone(),
            positions: prompt.positions.clone(),
            prompt: prompt.tokens.len(),
            visual: request.visual,
            blocks: Vec::new(),
            stored: 0,
            reused: 0,
            sampler: Sampler::new(&sampling, &ids)?.with_stop_ids(&stop.ids).with_budget(request.max_new_tokens),
            reply: reply.with_min_tokens(sampling.min_tokens),
            logprobs: sampling.logprobs.map(|k| (tokenizer.clone(), k)),
            budget: request.max_new_tokens,
            reuse: request.reuse,
            retain: request.retain,
            logits: request.logits,
            keys: PrefixKeys::default(),
            published: 0,
            lasting: 0,
            readable: 0,
            written: 0,
            begun: Instant::now(),
            prompt_read: None,
        })
    }

    /// Positions that it may need: prompt and whole reply.
    pub(super) fn most_rows(&self) -> usize {
        self.prompt + self.budget
    }

    pub(super) fn state(&self) -> SequenceState {
        SequenceState { stored: self.stored, total: self.tokens.len(), prompt: self.prompt }
    }

    /// What each row of the prompt is computed from.
    pub(super) fn prompt_rows(&self) -> Vec<CachedRow> {
        let rows = self.tokens.iter().zip(&self.positions).take(self.prompt);
        rows.map(|(token, position)| CachedRow::new(*token, *position, &self.visual)).collect()
    }

    /// Lets its prompt share blocks with others that begin alike.
    pub(super) fn share_prefix(&mut self, seed: &PrefixKey) {
        self.keys = PrefixKeys::new(seed, &self.prompt_rows());
        let is_lasting = |placement: u32| self.visual.get(placement as usize).is_some_and(|tokens| tokens.is_lasting);
        self.lasting = lasting_blocks(&self.tokens[..self.prompt], is_lasting);
    }

    /// Keys of the visual tokens that it shows.
    pub(super) fn visual_keys(&self) -> Vec<u128> {
        self.visual.iter().map(|tokens| tokens.key).collect()
    }

    /// Whether blocks are still to be read from disk.
    pub(super) fn is_reading(&self) -> bool {
        self.stored / BLOCK < self.readable
    }

    /// Notes that its first `blocks` blocks are there without having been computed.
    pub(super) fn reused_up_to(&mut self, blocks: usize) {
        (self.stored, self.reused) = (blocks * BLOCK, blocks * BLOCK);
    }

    /// Its state for the scheduler, of which one step computes `most` rows: while it reads from disk, or the visual
    /// tokens of these rows are not projected, there is nothing to compute.
    pub(super) fn schedulable(&self, most: usize) -> SequenceState {
        let state = self.state();
        let total = if self.is_reading() || self.unprojected(most).is_some() { state.stored } else { state.total };
        SequenceState { total, prompt: state.prompt.min(total), ..state }
    }

    /// The first of the next `most` rows of its prompt whose visual token is not projected, once it reads nothing from
    /// disk any more.
    pub(super) fn unprojected(&self, most: usize) -> Option<(&VisualTokens, usize)> {
        if self.is_reading() {
            return None;
        }
        let next = self.tokens.get(self.stored..self.prompt.min(self.stored + most))?;
        next.iter().find_map(|token| {
            let PromptToken::Visual { placement, row } = *token else { return None };
            let tokens = self.visual.get(placement as usize)?;
            (!tokens.rows.has(row as usize)).then_some((tokens, row as usize))
        })
    }

    /// Parts at the beginning of its prompt that it may take from others: something is left to compute.
    pub(super) fn sharable(&self) -> &[PrefixKey] {
        let parts = &self.keys.parts;
        &parts[..parts.len().min(self.prompt.saturating_sub(MIN_TAIL) / PART)]
    }

    /// Full blocks of it that it may take from elsewhere.
    pub(super) fn sharable_blocks(&self) -> &[PrefixKey] {
        let blocks = &self.keys.blocks;
        &blocks[..blocks.len().min(self.prompt.saturating_sub(MIN_TAIL) / BLOCK)]
    }

    /// Full blocks of its prompt that are computed.
    pub(super) fn computed_blocks(&self) -> usize {
        self.keys.blocks.len().min(self.stored / BLOCK)
    }

    /// Full parts of its prompt that are computed.
    pub(super) fn computed_parts(&self) -> usize {
        self.keys.parts.len().min(self.stored / PART)
    }

    /// Begins with `reused` rows that its `blocks` hold already.
    pub(super) fn admit(&mut self, blocks: Vec<u32>, reused: usize) {
        (self.blocks, self.stored, self.reused) = (blocks, reused, reused);
    }

    /// The embedded rows `[rows.len(), D]`.
    pub(super) fn embedded(
        &self,
        model: &dyn VideoLanguageModel,
        rows: std::ops::Range<usize>,
    ) -> Result<Tensor, EngineError> {
        Ok(embed(model, &self.tokens[rows], &self.visual)?)
    }

    pub(super) fn positions(&self, rows: std::ops::Range<usize>) -> &[Position] {
        &self.positions[rows]
    }

    /// Notes that the rows up to `end` are computed.
    pub(super) fn stored_up_to(&mut self, end: usize) {
        self.stored = end;
        if end >= self.prompt {
            self.prompt_read.get_or_insert_with(Instant::now);
        }
    }

    /// Chooses the next token from `logits` `[W]`.
    pub(super) fn take(&mut self, logits: &[f32]) -> Result<TakenToken, EngineError> {
        let id = self.sampler.pick(logits)?;
        let logprobs = self.logprobs.as_ref().map(|(tokenizer, k)| token_logprobs(tokenizer, logits, id, *k));
        let logprobs = logprobs.transpose()?;
        let text = if self.sampler.is_complete() { self.reply.accept_last(id)? } else { self.reply.accept(id)? };
        self.positions.push(self.positions.last().map_or(Position::default(), |last| last.next()));
        self.tokens.push(PromptToken::Text(id));
        Ok(TakenToken { id, text, logprobs })
    }

    /// The finished reply. Blocks are kept with it when that was asked for; else they are returned, to be released.
    pub(super) fn finish(self) -> (Generated, Vec<u32>) {
        let now = Instant::now();
        let read = self.prompt_read.unwrap_or(now);
        let rows = self.tokens.iter().zip(&self.positions).take(self.stored);
        let rows: Vec<CachedRow> =
            rows.map(|(token, position)| CachedRow::new(*token, *position, &self.visual)).collect();
        let (retained, released) = match self.retain {
            true => (Some(RetainedKv { blocks: self.blocks, rows }), Vec::new()),
            false => (None, self.blocks),
        };
        let generated = Generated {
            text: self.reply.text().to_string(),
            ids: self.reply.ids().to_vec(),
            finish_reason: self.reply.finish_reason().unwrap_or(FinishReason::Length),
            reused: self.reused,
            prefill: (read - self.begun).as_secs_f64(),
            generation: (now - read).as_secs_f64(),
            retained,
        };
        (generated, released)
    }
}
