//! The language half of a request: prefill in chunks, then one token a step.

use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::Tensor;
use zoetrope_models::contract::{Prompt, VideoLanguageModel};
use zoetrope_models::parts::cache::Memory;

use crate::answer::{FinishReason, Timings};
use crate::error::EngineError;
use crate::events::{CancelFlag, Event, Watch};
use crate::limits::Limits;
use crate::prefix::{Position, Prefix};
use crate::sampler::Sampler;
use crate::sequence::Sequence;

/// Prompt rows that go through the language model at once.
pub const CHUNK_ROWS: usize = 512;

/// What all stages of one request share.
pub(crate) struct Run<'r, 'w> {
    pub(crate) model: &'r dyn VideoLanguageModel,
    pub(crate) limits: &'r Limits,
    pub(crate) cancel: &'r CancelFlag,
    pub(crate) watch: &'r mut Watch<'w>,
    pub(crate) timings: Timings,
    pub(crate) begun: Instant,
}

impl<'r, 'w> Run<'r, 'w> {
    /// The clock starts now.
    pub(crate) fn new(
        model: &'r dyn VideoLanguageModel,
        limits: &'r Limits,
        cancel: &'r CancelFlag,
        watch: &'r mut Watch<'w>,
    ) -> Self {
        Run { model, limits, cancel, watch, timings: Timings::default(), begun: Instant::now() }
    }

    /// Reports an event; fails when the caller cancels or the wall time is used up.
    pub(crate) fn tell(&mut self, event: Event<'_>) -> Result<(), EngineError> {
        if (self.watch)(event).is_break() || self.cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        let limit = self.limits.wall_time;
        if self.begun.elapsed() > limit {
            let number = self.begun.elapsed().as_secs();
            return Err(EngineError::Limit { what: "seconds of wall time", number, limit: limit.as_secs() });
        }
        Ok(())
    }
}

/// Reads the prompt after the `reused` rows that `prefix` holds; the logits `[W]` after its last row.
pub(crate) fn prefill(
    run: &mut Run<'_, '_>,
    prompt: &Prompt,
    positions: &[Position],
    visual: Option<&Tensor>,
    prefix: &mut Prefix,
    reused: usize,
) -> Result<Vec<f32>, EngineError> {
    let begun = Instant::now();
    let total = prompt.ids.len();
    let mut logits = Vec::new();
    let mut from = reused;
    run.tell(Event::Prefill { done: reused, total })?;
    while from < total {
        let to = (from + CHUNK_ROWS).min(total);
        let x_td = embed_rows(run.model, prompt, visual, from, to)?;
        let last: &[usize] = if to == total { &[to - from - 1] } else { &[] };
        let logits_rw = run.model.step(&x_td, &mut Memory::Cache(&mut prefix.cache), last)?;
        prefix.extend(&positions[from..to]);
        if to == total {
            logits = one_row(&logits_rw)?;
        }
        from = to;
        run.timings.prefill = begun.elapsed().as_secs_f64();
        run.tell(Event::Prefill { done: to, total })?;
    }
    Ok(logits)
}

/// Rows `from..to` of the prompt, embedded, with the visual tokens that belong to them.
fn embed_rows(
    model: &dyn VideoLanguageModel,
    prompt: &Prompt,
    visual: Option<&Tensor>,
    from: usize,
    to: usize,
) -> Result<Tensor, EngineError> {
    let first = prompt.visual.partition_point(|&at| at < from);
    let end = prompt.visual.partition_point(|&at| at < to);
    let part = Prompt {
        ids: prompt.ids[from..to].to_vec(),
        visual: prompt.visual[first..end].iter().map(|at| at - from).collect(),
        targets: Vec::new(),
    };
    let tokens = match visual {
        Some(visual) if end > first => Some(visual.narrow(0, first, end - first)?),
        _ => None,
    };
    Ok(model.embed(&part, tokens.as_ref())?)
}

/// Writes the answer: picks, shows and feeds back one token after the other until `sequence` ends.
pub(crate) fn generate(
    run: &mut Run<'_, '_>,
    mut logits: Vec<f32>,
    sampler: &mut Sampler,
    sequence: &mut Sequence,
    prefix: &mut Prefix,
) -> Result<(), EngineError> {
    let begun = Instant::now();
    while sequence.finish_reason().is_none() {
        match one_token(run, &logits, sampler, sequence) {
            Ok(()) => {}
            Err(EngineError::Cancelled) => end(run, sequence, FinishReason::Cancelled),
            Err(EngineError::Limit { .. }) => end(run, sequence, FinishReason::Time),
            Err(error) => return Err(error),
        }
        if let (None, Some(&id)) = (sequence.finish_reason(), sequence.ids().last()) {
            let prompt = Prompt { ids: vec![id], ..Prompt::default() };
            let x_td = run.model.embed(&prompt, None)?;
            let logits_rw = run.model.step(&x_td, &mut Memory::Cache(&mut prefix.cache), &[0])?;
            prefix.extend(&[Position::Text(id)]);
            logits = one_row(&logits_rw)?;
        }
        run.timings.generation = begun.elapsed().as_secs_f64();
    }
    Ok(())
}

fn one_token(
    run: &mut Run<'_, '_>,
    logits: &[f32],
    sampler: &mut Sampler,
    sequence: &mut Sequence,
) -> Result<(), EngineError> {
    run.tell(Event::Logits(logits))?;
    let id = sampler.pick(logits)?;
    let text = sequence.accept(id)?;
    let token = run.tell(Event::Token(id));
    // The text belongs to the answer from here on, so it is shown even when the caller has just cancelled.
    let shown = if text.is_empty() { Ok(()) } else { run.tell(Event::Text(&text)) };
    token.and(shown)
}

/// Ends the sequence from outside and shows what was held back.
fn end(run: &mut Run<'_, '_>, sequence: &mut Sequence, reason: FinishReason) {
    let rest = sequence.end(reason);
    if !rest.is_empty() {
        let _: ControlFlow<()> = (run.watch)(Event::Text(&rest));
    }
}

/// The only row of `[1, W]` as numbers.
fn one_row(logits_rw: &Tensor) -> Result<Vec<f32>, EngineError> {
    let rows = logits_rw.dim(0)?;
    if rows != 1 {
        return Err(EngineError::Bug(format!("the model gave {rows} rows of logits where 1 was asked for")));
    }
    Ok(logits_rw.detach().squeeze(0)?.to_dtype(candle_core::DType::F32)?.to_vec1::<f32>()?)
}
