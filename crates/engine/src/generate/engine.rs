//! The engine: many jobs, one step at a time. A step schedules rows of many sequences, runs one forward pass over them,
//! and encodes a chunk of waiting media.

use std::collections::VecDeque;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::media_plan::MediaPlan;
use zoetrope_models::kv::{BLOCK, KvCache, KvContext, SequenceRun};

use super::block_pool::BlockPool;
use super::encode_queue::EncodeQueue;
use super::job::{GenerateRequest, JobEvent, JobId, JobOutput, RetainedKv};
use super::prefix_cache::{PrefixCache, PrefixKey};
use super::scheduler::{MIN_TAIL, schedule};
use super::sequence::{Sequence, TakenToken};
use crate::answer::FinishReason;
use crate::error::EngineError;
use crate::media_input::{EncodeJob, MediaSource};
use crate::store::ModelStore;

/// Prompt rows that go through the language model at once.
pub const CHUNK_ROWS: usize = 512;

/// What an engine may use.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Sequences that run at once.
    pub max_sequences: usize,
    /// Rows of a step, about.
    pub step_rows: usize,
    /// Bytes of the KV cache, rounded up to a block; it grows as it is needed.
    pub cache_bytes: usize,
    /// Bytes of these that beginnings of prompts may take after their sequences have ended, for others that begin
    /// alike; 0 shares nothing.
    pub prefix_bytes: usize,
    /// Whether media is always encoded beside the steps, so that a step never waits for it.
    pub encode_beside: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            max_sequences: 256,
            step_rows: CHUNK_ROWS,
            cache_bytes: 8 << 30,
            prefix_bytes: 0,
            encode_beside: false,
        }
    }
}

/// One model and the jobs on it.
pub struct Engine {
    pub(super) model: Arc<dyn VideoLanguageModel>,
    pub(super) options: EngineOptions,
    pub(super) cache: KvCache,
    pub(super) pool: BlockPool,
    pub(super) prefixes: PrefixCache,
    /// Where keys and values outlive the process.
    pub(super) store: Option<ModelStore>,
    media: EncodeQueue,
    pub(super) waiting: VecDeque<Sequence>,
    pub(super) running: Vec<Sequence>,
    /// Steps in a row in which long prompts were passed over.
    passed_over: usize,
    /// The sequence for which frames were projected last.
    projected: JobId,
    jobs: u64,
}

impl Engine {
    /// An engine without jobs. The KV cache is empty until the first one.
    ///
    /// # Errors
    /// When the device cannot hold a KV cache of the model's type.
    pub fn new(model: Arc<dyn VideoLanguageModel>, options: EngineOptions) -> Result<Self, EngineError> {
        let weights = model.weights();
        let cache = KvCache::new(model.processor().info().kv, 0, weights.kv_dtype(), weights.device())?;
        Ok(Engine {
            model,
            options,
            cache,
            pool: BlockPool::default(),
            prefixes: PrefixCache::default(),
            store: None,
            media: EncodeQueue::new(options.encode_beside),
            waiting: VecDeque::new(),
            running: Vec::new(),
            passed_over: 0,
            projected: JobId(0),
            jobs: 0,
        })
    }

    /// The model.
    pub fn model(&self) -> &Arc<dyn VideoLanguageModel> {
        &self.model
    }

    /// Bytes of keys and values of one token.
    pub fn bytes_per_token(&self) -> usize {
        self.model.processor().info().kv.bytes_per_token(self.cache.dtype())
    }

    /// Whether a step would only look whether media is encoded.
    pub fn waits_for_media(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty() && self.media.is_busy_beside()
    }

    /// Sequences that run, and that wait.
    pub fn sequences(&self) -> (usize, usize) {
        (self.running.len(), self.waiting.len())
    }

    /// Bytes of the KV cache: all, and those of sequences and shared beginnings.
    pub fn cache_use(&self) -> (usize, usize) {
        let bytes = |blocks: usize| blocks * BLOCK * self.bytes_per_token();
        (bytes(self.pool.total()), bytes(self.pool.total() - self.pool.free()))
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        self.media.is_empty() && self.waiting.is_empty() && self.running.is_empty()
    }

    /// Asks for media to be encoded. With `trace`, patches and features are events, too.
    pub fn encode(&mut self, name: &str, source: &Arc<dyn MediaSource>, plan: MediaPlan, trace: bool) -> JobId {
        let id = self.next_id();
        self.media.push(id, EncodeJob::new(&self.model, name, source, plan), trace);
        id
    }

    /// Asks for a reply.
    ///
    /// # Errors
    /// When the request does not fit together; nothing is computed then.
    pub fn generate(&mut self, request: GenerateRequest) -> Result<JobId, EngineError> {
        let id = self.next_id();
        let mut sequence = Sequence::new(id, request, self.model.as_ref())?;
        if self.options.prefix_bytes > 0 || self.store.is_some() {
            let seed = self.store.as_ref().map_or(PrefixKey::default(), |store| *store.seed());
            sequence.share_prefix(&seed);
        }
        self.waiting.push_back(sequence);
        Ok(id)
    }

    fn next_id(&mut self) -> JobId {
        self.jobs += 1;
        JobId(self.jobs)
    }

    /// Ends a job from outside. A reply so far is told as finished for `reason`; media is forgotten.
    ///
    /// # Errors
    /// For a defect of ours.
    pub fn end(&mut self, id: JobId, reason: FinishReason) -> Result<Vec<JobOutput>, EngineError> {
        if self.media.cancel(id) {
            return Ok(Vec::new());
        }
        let of = |sequence: &Sequence| sequence.id == id;
        let sequence = match (self.running.iter().position(of), self.waiting.iter().position(of)) {
            (Some(at), _) => Some(self.running.remove(at)),
            (None, Some(at)) => self.waiting.remove(at),
            (None, None) => None,
        };
        let Some(mut sequence) = sequence else { return Ok(Vec::new()) };
        let mut outputs = Vec::new();
        let rest = sequence.reply.end(reason);
        if !rest.is_empty() {
            outputs.push(JobOutput { job: id, event: JobEvent::Text(rest) });
        }
        self.finish(sequence, &mut outputs)?;
        Ok(outputs)
    }

    /// Gives keys and values of an earlier turn back that will not be used again.
    ///
    /// # Errors
    /// For a defect of ours.
    pub fn release(&mut self, retained: RetainedKv) -> Result<(), EngineError> {
        self.pool.release(&retained.blocks)
    }

    /// Does the next piece of work and tells what came of it. A job that fails does not stop the others.
    ///
    /// # Errors
    /// When a pass fails for all; the running jobs cannot go on then.
    pub fn step(&mut self) -> Result<Vec<JobOutput>, EngineError> {
        let mut outputs = Vec::new();
        self.admit(&mut outputs)?;
        if !self.media.is_empty() {
            outputs.extend(self.media.advance(!self.running.is_empty())?);
        }
        if !self.running.is_empty() {
            self.read_blocks(&mut outputs)?;
            self.project_frames(&mut outputs)?;
            self.forward(&mut outputs)?;
        }
        Ok(outputs)
    }

    /// Most rows of one prompt that a step computes, as the scheduler cuts it.
    fn rows_of_a_step(&self) -> usize {
        self.options.step_rows.max(BLOCK) + MIN_TAIL
    }

    /// Projects some frames for one of the sequences that wait for them, each in turn: a film of hours takes minutes,
    /// and others go on in between.
    fn project_frames(&mut self, outputs: &mut Vec<JobOutput>) -> Result<(), EngineError> {
        let most = self.rows_of_a_step();
        let waiting = self.running.iter().filter_map(|sequence| Some((sequence.id, sequence.unprojected(most)?)));
        // Behind the last one first, then from the beginning.
        let Some((job, (tokens, row))) = waiting.min_by_key(|(id, _)| (*id <= self.projected, *id)) else {
            return Ok(());
        };
        let done = tokens.rows.project(row);
        self.projected = job;
        if let Err(error) = done {
            outputs.push(JobOutput { job, event: JobEvent::Failed(error.into()) });
            self.finish_ended(outputs)?;
        }
        Ok(())
    }

    /// One pass over rows of the running sequences, and the tokens that follow.
    fn forward(&mut self, outputs: &mut Vec<JobOutput>) -> Result<(), EngineError> {
        let most = self.rows_of_a_step();
        let states: Vec<_> = self.running.iter().map(|sequence| sequence.schedulable(most)).collect();
        let scheduled = schedule(&states, self.options.step_rows, &mut self.passed_over);
        if scheduled.is_empty() {
            // All of them read from disk, or wait for visual tokens.
            self.publish_prefixes();
            return Ok(());
        }
        let model = self.model.as_ref();
        let (mut rows, mut positions, mut runs) = (Vec::new(), Vec::new(), Vec::new());
        let (mut wanted, mut total) = (Vec::new(), 0);
        for (number, range) in &scheduled {
            let sequence = &self.running[*number];
            rows.push(sequence.embedded(model, range.clone())?);
            positions.extend_from_slice(sequence.positions(range.clone()));
            runs.push(SequenceRun { past: range.start, new: range.len(), blocks: &sequence.blocks });
            total += range.len();
            if range.end == states[*number].total {
                wanted.push(total - 1);
            }
        }
        let x_td = if let [one] = &rows[..] { one.clone() } else { Tensor::cat(&rows, 0)? };
        let mut context = KvContext::Paged { cache: &mut self.cache, runs: &runs };
        let logits_rw = model.forward(&x_td, &positions, &mut context, &wanted)?;
        if logits_rw.dim(0)? != wanted.len() {
            let text = format!("the model gave {} rows of logits, {} were wanted", logits_rw.dim(0)?, wanted.len());
            return Err(EngineError::Bug(text));
        }
        let mut logits = logits_rw.detach().to_dtype(DType::F32)?.to_vec2::<f32>()?.into_iter();
        for (number, range) in scheduled {
            let sequence = &mut self.running[number];
            let (job, prompt) = (sequence.id, states[number].prompt);
            sequence.stored_up_to(range.end);
            if range.start < prompt {
                let done = range.end.min(prompt);
                outputs.push(JobOutput { job, event: JobEvent::Prefill { done, total: prompt } });
            }
            if range.end == states[number].total
                && let Some(logits) = logits.next()
            {
                take_token(sequence, logits, model, outputs);
            }
        }
        self.publish_prefixes();
        self.write_blocks()?;
        self.finish_ended(outputs)
    }

    /// Removes sequences that have ended or failed.
    fn finish_ended(&mut self, outputs: &mut Vec<JobOutput>) -> Result<(), EngineError> {
        let failed = |outputs: &[JobOutput], id: JobId| {
            outputs.iter().any(|output| output.job == id && matches!(output.event, JobEvent::Failed(_)))
        };
        for sequence in std::mem::take(&mut self.running) {
            if failed(outputs, sequence.id) {
                self.pool.release(&sequence.blocks)?;
            } else if sequence.reply.finish_reason().is_some() {
                self.finish(sequence, outputs)?;
            } else {
                self.running.push(sequence);
            }
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, sequence: Sequence, outputs: &mut Vec<JobOutput>) -> Result<(), EngineError> {
        let job = sequence.id;
        let (generated, released) = sequence.finish();
        self.pool.release(&released)?;
        self.trim_prefixes();
        outputs.push(JobOutput { job, event: JobEvent::Finished(Box::new(generated)) });
        Ok(())
    }
}

/// Chooses a sequence's next token.
fn take_token(sequence: &mut Sequence, logits: Vec<f32>, model: &dyn VideoLanguageModel, outputs: &mut Vec<JobOutput>) {
    let job = sequence.id;
    let taken = sequence.take(&logits);
    let mut tell = |event: JobEvent| outputs.push(JobOutput { job, event });
    if sequence.logits {
        tell(JobEvent::Logits(logits));
    }
    match taken {
        Ok(TakenToken { id, text, logprobs }) => {
            tell(JobEvent::Token(id));
            if let Some(logprobs) = logprobs {
                tell(JobEvent::Logprobs(Box::new(logprobs)));
            }
            if !text.is_empty() {
                tell(JobEvent::Text(text));
            }
        }
        Err(EngineError::NotANumber(_)) => tell(JobEvent::Failed(EngineError::not_a_number(model.weights()))),
        Err(error) => tell(JobEvent::Failed(error)),
    }
}
