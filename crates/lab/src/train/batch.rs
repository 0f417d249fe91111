//! Samples to one packed row of tokens, and the loss masked to answers.

use candle_core::Tensor;
use zoetrope_models::contract::{Carry, PlanOptions, VideoLanguageModel};
use zoetrope_models::parts::cache::Memory;

use super::TrainError;
use super::tokens::{TokenHeads, TokenLabels, cross_entropy};
use crate::sample::Sample;

/// Packed sequences, ready for the language model.
#[derive(Default)]
pub struct Batch {
    /// `[T_i, D]` rows of each sample that asks something (differentiable to encoder and embedding).
    pub embedded: Vec<Tensor>,
    /// Rows, end to end, whose next token is learnt.
    pub rows: Vec<usize>,
    /// That next token, one a row.
    pub targets: Vec<u32>,
    /// `[V_i, D]` visual tokens of each medium.
    pub visual: Vec<Tensor>,
    /// What those show, where it is known.
    pub labels: TokenLabels,
    /// Rows so far.
    len: usize,
}

impl Batch {
    /// Sees and embeds `samples`; those without messages are only seen.
    pub fn new(model: &dyn VideoLanguageModel, samples: &[Sample], options: &PlanOptions) -> Result<Self, TrainError> {
        let mut batch = Batch::default();
        for sample in samples {
            batch.add(model, sample, options)?;
        }
        Ok(batch)
    }

    fn add(
        &mut self,
        model: &dyn VideoLanguageModel,
        sample: &Sample,
        options: &PlanOptions,
    ) -> Result<(), TrainError> {
        let sources: Vec<_> = sample.media.iter().map(|media| media.source()).collect();
        let plan = model.plan(&sources, options)?;
        let (first, mut kept) = (self.visual.len(), Vec::new());
        for (media, item) in sample.media.iter().zip(&plan.items) {
            let frames: Vec<_> = item.frames.iter().map(|frame| media.frame(frame.index)).collect();
            let patches = model.prepare(item, &frames, &mut Carry::default())?;
            self.labels.add(media, item, &patches);
            let seen = model.see(&patches)?;
            self.visual.push(seen.tokens);
            kept.push(seen.per_frame);
        }
        if sample.messages.is_empty() {
            return Ok(());
        }
        let prompt = model.prompt(&sample.messages, &plan, &kept, false)?;
        let own = &self.visual[first..];
        let visual = if own.is_empty() { None } else { Some(Tensor::cat(own, 0)?) };
        self.embedded.push(model.embed(&prompt, visual.as_ref())?);
        // A target at position 0 has no row before it to learn from; labels are shifted by one.
        for &at in prompt.targets.iter().filter(|at| **at > 0) {
            self.rows.push(self.len + at - 1);
            self.targets.push(prompt.ids[at]);
        }
        self.len += prompt.ids.len();
        Ok(())
    }
}

/// Sum of cross entropies over the batch's targets (nats); divide by `targets.len()` for the mean.
pub fn loss(model: &dyn VideoLanguageModel, batch: &Batch) -> Result<Tensor, TrainError> {
    let lens = batch.embedded.iter().map(|rows| rows.dim(0)).collect::<Result<Vec<_>, _>>()?;
    let embedded_td = Tensor::cat(&batch.embedded, 0)?;
    let logits_rw = model.step(&embedded_td, &mut Memory::Packed(&lens), &batch.rows)?;
    cross_entropy(&logits_rw, &batch.targets)
}

/// What one batch is worth: a sum of losses (nats), and over how much it is the sum.
pub(super) struct Lesson {
    pub(super) loss: Tensor,
    pub(super) targets: usize,
}

/// The loss of the answers plus `weight` times that of the visual tokens, which is first brought to the answers' number
/// of targets; of the tokens alone when nothing is asked.
pub(super) fn lesson(
    model: &dyn VideoLanguageModel,
    heads: &TokenHeads,
    batch: &Batch,
    weight: f64,
) -> Result<Lesson, TrainError> {
    let answers = if batch.rows.is_empty() { None } else { Some(loss(model, batch)?) };
    let labelled = batch.labels.rows.len();
    let tokens = if weight > 0.0 && labelled > 0 {
        Some(heads.loss(&Tensor::cat(&batch.visual, 0)?, &batch.labels)?)
    } else {
        None
    };
    match (answers, tokens) {
        (Some(answers), Some(tokens)) => {
            let targets = batch.targets.len();
            let scale = weight * targets as f64 / labelled as f64;
            Ok(Lesson { loss: (answers + (tokens * scale)?)?, targets })
        }
        (Some(loss), None) => Ok(Lesson { loss, targets: batch.targets.len() }),
        (None, Some(loss)) => Ok(Lesson { loss, targets: labelled }),
        (None, None) => Err(TrainError::Caller("a batch without any answer has nothing to learn".to_string())),
    }
}
