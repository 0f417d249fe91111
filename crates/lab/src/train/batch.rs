//! Samples to one packed row of tokens, and the loss masked to answers.

use candle_core::{D, Tensor};
use zoetrope_models::contract::{Carry, PlanOptions, Prompt, VideoLanguageModel};
use zoetrope_models::parts::cache::Memory;

use super::TrainError;
use crate::sample::Sample;

/// Packed sequences, ready for the language model.
pub struct Batch {
    /// `[T, D]` rows of all samples, end to end (differentiable to encoder and embedding).
    pub embedded: Tensor,
    /// Tokens of each sample; sums to T.
    pub lens: Vec<usize>,
    /// Rows whose next token is learnt.
    pub rows: Vec<usize>,
    /// That next token, one a row.
    pub targets: Vec<u32>,
}

impl Batch {
    /// Sees and embeds `samples`.
    pub fn new(model: &dyn VideoLanguageModel, samples: &[Sample], options: &PlanOptions) -> Result<Self, TrainError> {
        let (mut parts, mut lens, mut rows, mut targets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for sample in samples {
            let (prompt, embedded) = embed(model, sample, options)?;
            // A target at position 0 has no row before it to learn from; labels are shifted by one.
            for &at in prompt.targets.iter().filter(|at| **at > 0) {
                rows.push(start + at - 1);
                targets.push(prompt.ids[at]);
            }
            start += prompt.ids.len();
            lens.push(prompt.ids.len());
            parts.push(embedded);
        }
        if rows.is_empty() {
            return Err(TrainError::Caller("a batch without any answer has nothing to learn".to_string()));
        }
        Ok(Batch { embedded: Tensor::cat(&parts, 0)?, lens, rows, targets })
    }
}

fn embed(
    model: &dyn VideoLanguageModel,
    sample: &Sample,
    options: &PlanOptions,
) -> Result<(Prompt, Tensor), TrainError> {
    let sources: Vec<_> = sample.media.iter().map(|media| media.source()).collect();
    let plan = model.plan(&sources, options)?;
    let (mut tokens, mut kept) = (Vec::new(), Vec::new());
    for (media, item) in sample.media.iter().zip(&plan.items) {
        let frames: Vec<_> = item.frames.iter().map(|frame| media.frame(frame.index)).collect();
        let seen = model.see(&model.prepare(item, &frames, &mut Carry::default())?)?;
        tokens.push(seen.tokens);
        kept.push(seen.per_frame);
    }
    let prompt = model.prompt(&sample.messages, &plan, &kept, false)?;
    let visual = if tokens.is_empty() { None } else { Some(Tensor::cat(&tokens, 0)?) };
    let embedded = model.embed(&prompt, visual.as_ref())?;
    Ok((prompt, embedded))
}

/// Sum of cross entropies over the batch's targets (nats); divide by `targets.len()` for the mean.
pub fn loss(model: &dyn VideoLanguageModel, batch: &Batch) -> Result<Tensor, TrainError> {
    let logits_rw = model.step(&batch.embedded, &mut Memory::Packed(&batch.lens), &batch.rows)?;
    let max = logits_rw.max_keepdim(D::Minus1)?.detach();
    let shifted = logits_rw.broadcast_sub(&max)?;
    let norm = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let targets = Tensor::from_slice(&batch.targets, (batch.targets.len(), 1), logits_rw.device())?;
    let picked = shifted.gather(&targets, 1)?;
    Ok((norm - picked)?.sum_all()?)
}
