//! Samples to one pack, a row of tokens without padding, and its loss masked to answers.

use candle_core::Tensor;
use zoetrope_engine::PatchStream;
use zoetrope_models::contract::features::Features;
use zoetrope_models::contract::media_plan::{MediaPlan, PlanOptions};
use zoetrope_models::contract::position::Position;
use zoetrope_models::contract::prompt::{GenerationPrompt, PromptToken, VisualSpan};
use zoetrope_models::contract::{VideoLanguageModel, embed};
use zoetrope_models::kv::KvContext;

use super::probe_heads::{ProbeHeads, ProbeLabels, cross_entropy};
use crate::error::LabError;
use crate::sample::{Sample, SampleMedia};

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

    fn add(&mut self, model: &dyn VideoLanguageModel, sample: &Sample, options: &PlanOptions) -> Result<(), LabError> {
        let processor = model.processor();
        let metadata: Vec<_> = sample.media.iter().map(|media| media.source.metadata()).collect();
        let plans = processor.plan(&[], &metadata, options)?;
        let mut encoded = Vec::new();
        for (media, plan) in sample.media.iter().zip(&plans) {
            encoded.push(self.encode(model, media, plan)?);
        }
        if sample.messages.is_empty() {
            for (features, plan) in encoded.iter().zip(&plans) {
                self.visual.push(model.project(plan, features, 0, None)?);
            }
            return Ok(());
        }
        let mut visual = Vec::new();
        for placement in processor.placements(&sample.messages, plans.len())? {
            let (plan, features) = (&plans[placement.media], &encoded[placement.media]);
            visual.push(model.project(plan, features, 0, placement.instruction.as_deref())?);
        }
        let spans: Vec<Vec<VisualSpan>> =
            plans.iter().zip(&encoded).map(|(plan, f)| processor.visual_spans(plan, Some(&f.per_unit))).collect();
        let prompt = processor.prompt(&sample.messages, &plans, &spans, GenerationPrompt::None)?;
        self.embedded.push(embed(model, &prompt.tokens, &visual)?);
        self.visual.extend(visual);
        // A target at position 0 has no row before it to learn from; labels are shifted by one.
        for &at in prompt.targets.iter().filter(|at| **at > 0) {
            let PromptToken::Text(id) = prompt.tokens[at] else { continue };
            self.rows.push(self.positions.len() + at - 1);
            self.targets.push(id);
        }
        self.positions.extend(prompt.positions);
        Ok(())
    }

    /// The features of one picture or video, and the labels of its visual tokens.
    fn encode(
        &mut self,
        model: &dyn VideoLanguageModel,
        media: &SampleMedia,
        plan: &MediaPlan,
    ) -> Result<Features, LabError> {
        let mut features = Vec::new();
        for prepared in PatchStream::new(model.processor(), "sample", &media.source, plan) {
            let prepared = prepared?;
            let spans = model.processor().visual_spans(plan, None);
            self.labels.add(media, &prepared.frames, &prepared.patches.units, &spans);
            features.push(model.encode(plan, &prepared.patches)?);
        }
        Ok(Features::concat(&features)?)
    }
}

/// Sum of the cross entropies of the targets in nats; divide by `targets.len()` for the mean.
pub fn loss(model: &dyn VideoLanguageModel, pack: &Pack) -> Result<Tensor, LabError> {
    let lens = pack.embedded.iter().map(|rows| rows.dim(0)).collect::<Result<Vec<_>, _>>()?;
    let embedded_td = Tensor::cat(&pack.embedded, 0)?;
    let logits_rw = model.forward(&embedded_td, &pack.positions, &mut KvContext::Varlen(&lens), &pack.rows)?;
    cross_entropy(&logits_rw, &pack.targets)
}

/// A sum of losses in nats, and the number of targets behind it.
pub(super) struct LossSum {
    pub(super) loss: Tensor,
    pub(super) targets: usize,
}

/// The loss of the answers plus `weight` times the loss of the visual tokens. The mean loss of a visual token counts as
/// often as there are answer targets. Without answers, the loss of the visual tokens alone.
pub(super) fn compute_loss(
    model: &dyn VideoLanguageModel,
    heads: &ProbeHeads,
    pack: &Pack,
    weight: f64,
) -> Result<LossSum, LabError> {
    let answers = if pack.rows.is_empty() { None } else { Some(loss(model, pack)?) };
    let labeled = pack.labels.rows.len();
    let tokens = if weight > 0.0 && labeled > 0 {
        Some(heads.loss(&Tensor::cat(&pack.visual, 0)?, &pack.labels)?)
    } else {
        None
    };
    match (answers, tokens) {
        (Some(answers), Some(tokens)) => {
            let targets = pack.targets.len();
            let scale = weight * targets as f64 / labeled as f64;
            Ok(LossSum { loss: (answers + (tokens * scale)?)?, targets })
        }
        (Some(loss), None) => Ok(LossSum { loss, targets: pack.targets.len() }),
        (None, Some(loss)) => Ok(LossSum { loss, targets: labeled }),
        (None, None) => Err(LabError::Caller("a pack without any answer has nothing to learn".to_string())),
    }
}
