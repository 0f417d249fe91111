//! Samples to packs, packs to summed gradients and losses.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rayon::prelude::*;
use zoetrope_engine::EngineError;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::media_plan::PlanOptions;
use zoetrope_models::error::ModelError;
use zoetrope_models::ops::backward;

use crate::data::BadSample;
use crate::error::LabError;
use crate::sample::Sample;
use crate::train::mixture::{Draw, Mixture};
use crate::train::optimizer::{Gradients, Trained};
use crate::train::pack::{Pack, compute_loss, count_tokens};
use crate::train::probe_heads::ProbeHeads;
use crate::train::recipe::Stage;

/// Bytes of gradients above which packs are computed one after the other: the operations of a large model keep all
/// threads at work by themselves.
const LARGE: usize = 256 << 20;

/// What packs of a stage are computed with.
pub(in crate::train) struct PackWork<'a> {
    pub(in crate::train) model: &'a dyn VideoLanguageModel,
    pub(in crate::train) heads: &'a ProbeHeads,
    pub(in crate::train) trained: &'a BTreeMap<String, Trained>,
    pub(in crate::train) stage: &'a Stage,
    pub(in crate::train) options: &'a PlanOptions,
    pub(in crate::train) mixture: &'a Mixture,
}

/// Summed gradients and losses of some samples.
#[derive(Default)]
pub(in crate::train) struct Accumulated {
    pub(in crate::train) gradients: Gradients,
    /// Sum of the losses in nats.
    pub(in crate::train) loss: f64,
    /// What `loss` and `gradients` are divided by for the mean: targets, or samples.
    pub(in crate::train) count: f64,
    /// Nats and number of the answers' targets of each entry of the mixture.
    pub(in crate::train) entries: BTreeMap<usize, (f64, usize)>,
    /// Tokens of all sequences.
    pub(in crate::train) tokens: usize,
    /// Samples that were of no use.
    pub(in crate::train) bad: Vec<BadSample>,
    /// Samples that were longer than the stage allows.
    pub(in crate::train) too_long: u64,
}

impl PackWork<'_> {
    /// Gradients of the samples of one step. Packs are independent, so some are computed at once; they are added in
    /// their order, whatever the number of threads, and few more of them are held than are computed at once.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::train) fn step(&self, draws: &[Draw]) -> Result<Accumulated, LabError> {
        self.sum(draws, self.at_once(), |draws| self.gradients(draws))
    }

    /// Losses of the answers without gradients.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::train) fn losses(&self, draws: &[Draw]) -> Result<Accumulated, LabError> {
        self.sum(draws, rayon::current_num_threads(), |draws| {
            let (pack, entries, mut sum) = self.pack(draws)?;
            if !pack.rows.is_empty() {
                let found = compute_loss(self.model, self.heads, &pack, 0.0, self.stage.loss)?;
                sum.add_losses(&entries, &found.samples);
                sum.loss = f64::from(found.loss.to_scalar::<f32>()?);
                sum.count = found.count;
            }
            Ok(sum)
        })
    }

    /// Packs whose gradients are held at once.
    pub(in crate::train) fn at_once(&self) -> usize {
        let bytes: usize = self.trained.values().map(|trained| 4 * trained.variable.elem_count()).sum();
        if bytes > LARGE { 1 } else { rayon::current_num_threads() }
    }

    fn sum(
        &self,
        draws: &[Draw],
        at_once: usize,
        work: impl Fn(&[Draw]) -> Result<Accumulated, LabError> + Sync,
    ) -> Result<Accumulated, LabError> {
        let packs = draws.chunks(self.stage.pack);
        if at_once <= 1 {
            return packs.map(work).try_fold(Accumulated::default(), |sum, pack| Ok(sum.with(pack?)));
        }
        let sum = Mutex::new(InOrder::default());
        packs.enumerate().par_bridge().try_for_each(|(number, draws)| {
            let pack = work(draws)?;
            sum.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).add(number, pack);
            Ok::<(), LabError>(())
        })?;
        Ok(sum.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).sum)
    }

    fn gradients(&self, draws: &[Draw]) -> Result<Accumulated, LabError> {
        let (pack, entries, mut sum) = self.pack(draws)?;
        let labeled = self.stage.token_loss_weight > 0.0 && !pack.labels.rows.is_empty();
        if pack.rows.is_empty() && !labeled {
            return Ok(sum);
        }
        let found = compute_loss(self.model, self.heads, &pack, self.stage.token_loss_weight, self.stage.loss)?;
        let store = backward(&found.loss)?;
        for (name, trained) in self.trained {
            if let Some(gradient) = store.get(&trained.variable) {
                sum.gradients.insert(name.clone(), gradient.flatten_all()?.to_vec1::<f32>()?);
            }
        }
        sum.add_losses(&entries, &found.samples);
        sum.loss = f64::from(found.loss.to_scalar::<f32>()?);
        sum.count = found.count;
        Ok(sum)
    }

    /// The samples that are of use as a pack, and the entry of each.
    fn pack(&self, draws: &[Draw]) -> Result<(Pack, Vec<usize>, Accumulated), LabError> {
        let (mut pack, mut entries, mut sum) = (Pack::default(), Vec::new(), Accumulated::default());
        for draw in draws {
            match self.mixture.sample(draw) {
                Err(bad) => sum.bad.push(bad),
                Ok(sample) => match self.add(&mut pack, &sample) {
                    Ok(true) => entries.push(draw.entry),
                    Ok(false) => sum.too_long += 1,
                    Err(error) => sum.bad.push(self.mixture.bad(draw, unusable(error)?)),
                },
            }
        }
        // Where nothing is asked, visual tokens are all that there is.
        let visual = || pack.visual.iter().map(|rows| rows.dim(0)).sum::<Result<usize, _>>();
        sum.tokens = if pack.positions.is_empty() { visual()? } else { pack.positions.len() };
        Ok((pack, entries, sum))
    }

    /// Adds a sample unless it is too long.
    fn add(&self, pack: &mut Pack, sample: &Sample) -> Result<bool, LabError> {
        if let Some(most) = self.stage.max_tokens {
            let (tokens, _) = count_tokens(&**self.model.processor(), sample, self.options)?;
            if tokens > most {
                return Ok(false);
            }
        }
        pack.add(self.model, sample, self.options)?;
        Ok(true)
    }
}

/// What is wrong with a sample; an error that is not the sample's is one of the run.
fn unusable(error: LabError) -> Result<String, LabError> {
    match &error {
        LabError::Engine(EngineError::Media { .. } | EngineError::Limit { .. })
        | LabError::Engine(EngineError::Model(ModelError::Caller(_) | ModelError::Limit { .. }))
        | LabError::Model(ModelError::Caller(_) | ModelError::Limit { .. }) => Ok(error.to_string()),
        _ => Err(error),
    }
}

/// A sum to which packs are added in their order, whichever is ready first.
#[derive(Default)]
struct InOrder {
    sum: Accumulated,
    /// Packs that are part of the sum.
    added: usize,
    /// Packs that are ready before an earlier one.
    waiting: BTreeMap<usize, Accumulated>,
}

impl InOrder {
    fn add(&mut self, number: usize, pack: Accumulated) {
        self.waiting.insert(number, pack);
        while let Some(next) = self.waiting.remove(&self.added) {
            self.sum = std::mem::take(&mut self.sum).with(next);
            self.added += 1;
        }
    }
}

impl Accumulated {
    fn add_losses(&mut self, entries: &[usize], samples: &[(f64, usize)]) {
        for (entry, (nats, targets)) in entries.iter().zip(samples) {
            let sum = self.entries.entry(*entry).or_default();
            *sum = (sum.0 + nats, sum.1 + targets);
        }
    }

    /// The sum of both.
    pub(in crate::train) fn with(mut self, other: Accumulated) -> Self {
        for (name, values) in other.gradients {
            match self.gradients.get_mut(&name) {
                Some(sum) => sum.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value),
                None => drop(self.gradients.insert(name, values)),
            }
        }
        for (entry, (nats, targets)) in other.entries {
            let sum = self.entries.entry(entry).or_default();
            *sum = (sum.0 + nats, sum.1 + targets);
        }
        self.loss += other.loss;
        self.count += other.count;
        self.tokens += other.tokens;
        self.bad.extend(other.bad);
        self.too_long += other.too_long;
        self
    }
}
