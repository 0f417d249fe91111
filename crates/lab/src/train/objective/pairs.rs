//! Pairs of preferences in packs: two sequences that show media which are encoded once.

use candle_core::Tensor;
use zoetrope_models::contract::features::Features;
use zoetrope_models::contract::media_plan::{MediaPlan, PlanOptions};
use zoetrope_models::contract::prompt::{GenerationPrompt, Message, Prompt};
use zoetrope_models::contract::{Processor, VideoLanguageModel, embed};
use zoetrope_models::error::ModelError;

use super::dpo::PairLogProbs;
use crate::data::{LoadedSample, SampleLoader};
use crate::error::LabError;
use crate::sample::Sample;
use crate::train::pack::{Pack, count_tokens, write_prompt};

/// Why a sample is of no use for DPO.
pub(super) const NO_PAIR: &str = "no pair of preferences: objective.kind is \"dpo\", and the row has one answer";

/// Why a sample is of no use that the reference was not asked about.
pub(super) const NO_REFERENCE: &str = "no reference: it could not be used before, when the reference was computed";

/// One conversation of a pair, ready for the language model.
struct PairSequence {
    /// `[T, D]`.
    embedded_td: Tensor,
    /// `[V, D]` visual tokens of each placement.
    visual: Vec<Tensor>,
    prompt: Prompt,
    /// Places of the tokens whose log-probabilities are summed.
    targets: Vec<usize>,
}

/// Adds the conversations of a pair, the chosen one first. Targets are what both do not have in common: the answers
/// from the first one on that differs.
///
/// # Errors
/// When a frame cannot be decoded, or messages and media do not fit together; the pack is as it was then.
pub(super) fn add_pair(
    pack: &mut Pack,
    model: &dyn VideoLanguageModel,
    loader: &SampleLoader,
    (sample, rejected): (LoadedSample, &[Message]),
) -> Result<(), LabError> {
    let LoadedSample { messages, plans, media, .. } = sample;
    let mut encoded = Vec::with_capacity(plans.len());
    for (media, plan) in media.into_iter().zip(&plans) {
        encoded.push(loader.encode(model, media, plan, |_| ())?);
    }
    let shared = messages.iter().zip(rejected).take_while(|(a, b)| a == b).count();
    let chosen = sequence(model, (&messages, shared), (&plans, &encoded))?;
    let rejected = sequence(model, (rejected, shared), (&plans, &encoded))?;
    for PairSequence { embedded_td, visual, prompt, targets } in [chosen, rejected] {
        pack.join((embedded_td, visual), prompt, &targets);
    }
    Ok(())
}

/// The conversation `messages`, of which the first `shared` are also those of the other one.
fn sequence(
    model: &dyn VideoLanguageModel,
    (messages, shared): (&[Message], usize),
    media: (&[MediaPlan], &[Features]),
) -> Result<PairSequence, LabError> {
    let (prompt, visual) = write_prompt(model, messages, media, GenerationPrompt::None)?;
    // Questions and answers alternate, and both conversations go on with an answer.
    let answers = (messages.len() - shared).div_ceil(2);
    let targets = last_answers(&prompt.targets, answers).to_vec();
    if targets.is_empty() {
        return Err(ModelError::Caller("no token of an answer is learned".to_string()).into());
    }
    Ok(PairSequence { embedded_td: embed(model, &prompt.tokens, &visual)?, visual, prompt, targets })
}

/// The places among `targets` that belong to the last `answers` answers: tokens of one answer follow each other, and a
/// question stands between two.
pub(super) fn last_answers(targets: &[usize], answers: usize) -> &[usize] {
    let begins = |at: &usize| *at == 0 || targets[*at] != targets[*at - 1] + 1;
    let starts: Vec<usize> = (0..targets.len()).filter(begins).collect();
    match starts.len().checked_sub(answers) {
        Some(first) => starts.get(first).map_or(&[], |start| &targets[*start..]),
        None => targets,
    }
}

/// The log-probabilities of the pairs of a pack, of the cross entropies `nats` of its targets.
pub(super) fn log_probs(pack: &Pack, nats: &[f32]) -> Vec<PairLogProbs> {
    let pair = |sums: &[(f64, usize)]| PairLogProbs { chosen: -sums[0].0, rejected: -sums[1].0 };
    pack.nats_of_samples(nats).chunks_exact(2).map(pair).collect()
}

/// Tokens of both conversations of a pair as the language model would see them, how many of them are visual, and those
/// of the longer one. No frame is decoded. `None` for a sample that is no pair.
///
/// # Errors
/// When messages and media do not fit together.
pub(in crate::train) fn count_pair_tokens(
    processor: &dyn Processor,
    sample: &Sample,
    options: &PlanOptions,
) -> Result<Option<(usize, usize, usize)>, LabError> {
    let Some(rejected) = sample.of_rejected() else { return Ok(None) };
    let (chosen, chosen_visual) = count_tokens(processor, sample, options)?;
    let (rejected, rejected_visual) = count_tokens(processor, &rejected, options)?;
    Ok(Some((chosen + rejected, chosen_visual + rejected_visual, chosen.max(rejected))))
}
