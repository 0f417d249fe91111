//! Samples to one pack, a row of tokens without padding, and its loss masked to answers.

use candle_core::Tensor;
use zoetrope_models::contract::features::Features;
use zoetrope_models::contract::media_plan::{MediaPlan, PlanOptions};
use zoetrope_models::contract::position::Position;
use zoetrope_models::contract::prompt::{GenerationPrompt, Message, Prompt, PromptToken, VisualSpan};
use zoetrope_models::contract::{Processor, VideoLanguageModel, embed};
use zoetrope_models::kv::KvContext;
use zoetrope_models::ops::cross_entropy;

use super::probe_heads::{ProbeHeads, ProbeLabels};
use super::recipe::LossPer;
use crate::data::{LoadedMedia, LoadedSample, PlannedSample, SampleLoader};
use crate::error::LabError;
use crate::sample::Sample;

/// The sequences of some samples end to end (varlen), ready for the language model.
#[derive(Default)]
pub struct Pack {
    /// `[T_i, D]` embedded tokens of each sample with messages; gradients reach the encoder and the embedding.
    pub embedded: Vec<Tensor>,
    /// `[T]` of all sequences.
    pub positions: Vec<Position>,
    /// Rows of the concatenated sequences whose next token is a target.
    pub rows: Vec<usize>,
    /// The target of each of `rows`.
    pub targets: Vec<u32>,
    /// How many of `rows` each sample has, in order.
    pub sample_rows: Vec<usize>,
    /// `[V_i, D]` visual tokens of each picture or video.
    pub visual: Vec<Tensor>,
    /// Labels of the visual tokens, where they are known.
    pub labels: ProbeLabels,
}

impl Pack {
    /// Encodes the media and embeds the messages of `samples`. A sample without messages only adds visual tokens.
    pub fn new(model: &dyn VideoLanguageModel, samples: &[Sample], options: &PlanOptions) -> Result<Self, LabError> {
        let mut pack = Pack::default();
        for sample in samples {
            pack.add(model, sample, options)?;
        }
        Ok(pack)
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// When a frame cannot be decoded, or messages and media do not fit together; the pack is as it was then.
    pub fn add(
        &mut self,
        model: &dyn VideoLanguageModel,
        sample: &Sample,
        options: &PlanOptions,
    ) -> Result<(), LabError> {
        let loader = SampleLoader::new(model.processor(), options.clone());
        match loader.load(sample)? {
            Some(loaded) => self.add_loaded(model, &loader, loaded),
            None => Ok(()),
        }
    }

    /// Adds a sample that `loader` has loaded for `model`.
    ///
    /// # Errors
    /// As [`Pack::add`].
    pub(super) fn add_loaded(
        &mut self,
        model: &dyn VideoLanguageModel,
        loader: &SampleLoader,
        sample: LoadedSample,
    ) -> Result<(), LabError> {
        let labels = self.labels.clone();
        let added = self.try_add(model, loader, sample);
        if added.is_err() {
            self.labels = labels;
        }
        added
    }

    /// As [`Pack::add`]; labels of the sample may stay behind when it fails, and nothing else.
    fn try_add(
        &mut self,
        model: &dyn VideoLanguageModel,
        loader: &SampleLoader,
        sample: LoadedSample,
    ) -> Result<(), LabError> {
        let plans = sample.plans;
        let mut encoded = Vec::new();
        for (media, plan) in sample.media.into_iter().zip(&plans) {
            encoded.push(self.encode(model, loader, media, plan)?);
        }
        if sample.messages.is_empty() {
            let project = |(features, plan): (&Features, _)| Ok(model.project(plan, features, 0, None)?);
            let visual = encoded.iter().zip(&plans).map(project).collect::<Result<Vec<_>, LabError>>()?;
            self.visual.extend(visual);
            self.sample_rows.push(0);
            return Ok(());
        }
        let (mut prompt, visual) = write_prompt(model, &sample.messages, (&plans, &encoded), GenerationPrompt::None)?;
        let (embedded, targets) = (embed(model, &prompt.tokens, &visual)?, std::mem::take(&mut prompt.targets));
        self.join((embedded, visual), prompt, &targets);
        Ok(())
    }

    /// Adds a sequence that is embedded, with its visual tokens, and learns the `targets` among the places of `prompt`.
    pub(super) fn join(&mut self, (embedded, visual): (Tensor, Vec<Tensor>), prompt: Prompt, targets: &[usize]) {
        self.embedded.push(embedded);
        self.visual.extend(visual);
        let rows_before = self.rows.len();
        // A target at position 0 has no row before it to learn from; labels are shifted by one.
        for &at in targets.iter().filter(|at| **at > 0) {
            let PromptToken::Text(id) = prompt.tokens[at] else { continue };
            self.rows.push(self.positions.len() + at - 1);
            self.targets.push(id);
        }
        self.sample_rows.push(self.rows.len() - rows_before);
        self.positions.extend(prompt.positions);
    }

    /// The sum of the `nats` of each sequence's targets, and their number.
    pub(super) fn nats_of_samples(&self, nats: &[f32]) -> Vec<(f64, usize)> {
        let (mut rest, mut samples) = (nats, Vec::with_capacity(self.sample_rows.len()));
        for &rows in &self.sample_rows {
            let (own, others) = rest.split_at(rows);
            samples.push((own.iter().map(|nats| f64::from(*nats)).sum(), rows));
            rest = others;
        }
        samples
    }

    /// The features of one picture or video, and the labels of its visual tokens.
    fn encode(
        &mut self,
        model: &dyn VideoLanguageModel,
        loader: &SampleLoader,
        mut media: LoadedMedia,
        plan: &MediaPlan,
    ) -> Result<Features, LabError> {
        let processor = model.processor();
        let Some(labeled) = media.labeled.take() else {
            let features = loader.encode(model, media, plan, |_| ())?;
            let spans = processor.visual_spans(plan, Some(&features.per_unit));
            self.labels.skip(spans.iter().map(|span| span.tokens).sum());
            return Ok(features);
        };
        let spans = processor.visual_spans(plan, None);
        loader.encode(model, media, plan, |run| self.labels.add(&labeled, &run.frames, &run.patches.units, &spans))
    }
}

/// The prompt of `messages` about media of these plans and features, and the visual tokens `[V, D]` of each placement.
///
/// # Errors
/// When messages and media do not fit together.
pub(super) fn write_prompt(
    model: &dyn VideoLanguageModel,
    messages: &[Message],
    (plans, encoded): (&[MediaPlan], &[Features]),
    end: GenerationPrompt<'_>,
) -> Result<(Prompt, Vec<Tensor>), LabError> {
    let processor = model.processor();
    let mut visual = Vec::new();
    for placement in processor.placements(messages, plans.len())? {
        let (plan, features) = (&plans[placement.media], &encoded[placement.media]);
        visual.push(model.project(plan, features, 0, placement.instruction.as_deref())?);
    }
    let spans: Vec<Vec<VisualSpan>> =
        plans.iter().zip(encoded).map(|(plan, f)| processor.visual_spans(plan, Some(&f.per_unit))).collect();
    Ok((processor.prompt(messages, plans, &spans, end)?, visual))
}

/// Tokens of a sample as the language model would see it, visual tokens counted as before pruning, and how many of
/// them are visual. No frame is decoded.
///
/// # Errors
/// When messages and media do not fit together.
pub fn count_tokens(
    processor: &dyn Processor,
    sample: &Sample,
    options: &PlanOptions,
) -> Result<(usize, usize), LabError> {
    if sample.messages.is_empty() {
        let plans = sample.plan(processor, options)?;
        let visual = plans.iter().flat_map(|plan| processor.visual_spans(plan, None)).map(|span| span.tokens).sum();
        return Ok((visual, visual));
    }
    let planned = PlannedSample::unchecked(sample, processor, options)?;
    Ok((planned.prompt.tokens.len(), planned.visual_tokens()))
}

/// Cross entropies `[R, 1]` of the targets, in nats.
///
/// # Errors
/// When a tensor operation fails.
pub fn losses(model: &dyn VideoLanguageModel, pack: &Pack) -> Result<Tensor, LabError> {
    let lens = pack.embedded.iter().map(|rows| rows.dim(0)).collect::<Result<Vec<_>, _>>()?;
    let embedded_td = Tensor::cat(&pack.embedded, 0)?;
    let logits_rw = model.forward(&embedded_td, &pack.positions, &mut KvContext::Varlen(&lens), &pack.rows)?;
    Ok(cross_entropy(&logits_rw, &pack.targets)?)
}

/// A sum of losses.
pub(super) struct LossSum {
    /// In nats, a scalar.
    pub(super) loss: Tensor,
    /// What `loss` is divided by for the mean: targets, or samples.
    pub(super) count: f64,
    /// Nats and number of the answers' targets of each sample.
    pub(super) samples: Vec<(f64, usize)>,
}

/// The loss of the answers plus `weight` times the loss of the visual tokens. The mean loss of a visual token counts as
/// often as there are answer targets (or samples with answers). Without answers, the loss of the visual tokens alone.
///
/// # Errors
/// [`LabError::Caller`] for a pack that has nothing to learn.
pub(super) fn compute_loss(
    model: &dyn VideoLanguageModel,
    heads: &ProbeHeads,
    pack: &Pack,
    weight: f64,
    per: LossPer,
) -> Result<LossSum, LabError> {
    let answers = if pack.rows.is_empty() { None } else { Some(answer_loss(model, pack, per)?) };
    let labeled = pack.labels.rows.len();
    let tokens = if weight > 0.0 && labeled > 0 {
        Some(heads.loss(&Tensor::cat(&pack.visual, 0)?, &pack.labels)?)
    } else {
        None
    };
    match (answers, tokens) {
        (Some(answers), Some(tokens)) => {
            let scale = weight * answers.count / labeled as f64;
            Ok(LossSum { loss: (&answers.loss + (tokens * scale)?)?, ..answers })
        }
        (Some(answers), None) => Ok(answers),
        (None, Some(loss)) => {
            Ok(LossSum { loss, count: labeled as f64, samples: vec![(0.0, 0); pack.sample_rows.len()] })
        }
        (None, None) => Err(LabError::Caller("a pack without any answer has nothing to learn".to_string())),
    }
}

fn answer_loss(model: &dyn VideoLanguageModel, pack: &Pack, per: LossPer) -> Result<LossSum, LabError> {
    let losses_r1 = losses(model, pack)?;
    let values = losses_r1.flatten_all()?.to_vec1::<f32>()?;
    let samples = pack.nats_of_samples(&values);
    let (loss, count) = match per {
        LossPer::Token => (losses_r1.sum_all()?, values.len() as f64),
        LossPer::Sample => {
            let share = |rows: &usize| std::iter::repeat_n(1.0 / *rows as f32, *rows);
            let shares: Vec<f32> = pack.sample_rows.iter().flat_map(share).collect();
            let shares_r1 = Tensor::from_vec(shares, (values.len(), 1), losses_r1.device())?;
            let with_answers = pack.sample_rows.iter().filter(|rows| **rows > 0).count();
            ((losses_r1 * shares_r1)?.sum_all()?, with_answers as f64)
        }
    };
    Ok(LossSum { loss, count, samples })
}
