//! Samples to packs, packs to summed gradients and losses.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use rayon::prelude::*;
use zoetrope_engine::EngineError;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::alignment::Aligner;
use zoetrope_models::contract::media_plan::PlanOptions;
use zoetrope_models::error::ModelError;

use crate::data::{BadSample, Feed, LoadedSample, SampleLoader};
use crate::error::LabError;
use crate::train::mixture::{Draw, Loading, Mixture};
use crate::train::objective::{AlignedSample, ContrastiveWork, ReferenceTable, RewardSum};
use crate::train::optimizer::{Gradients, Trained, add_gradients, gradients_of};
use crate::train::pack::{Pack, compute_loss};
use crate::train::probe_heads::ProbeHeads;
use crate::train::recipe::Stage;

/// Most bytes of gradients of packs that are computed at once. Packs at once, each on a thread, are faster than one
/// whose operations share the threads: 1.3 times with two cores and 150 million parameters.
const AT_ONCE_BYTES: usize = 4 << 30;

/// What packs of a stage are computed with.
pub(in crate::train) struct PackWork<'a> {
    pub(in crate::train) model: &'a dyn VideoLanguageModel,
    /// The bridge with its own heads, in stages that learn from captions without the decoder.
    pub(in crate::train) aligner: Option<&'a dyn Aligner>,
    /// Seed of the run.
    pub(in crate::train) seed: u64,
    pub(in crate::train) heads: &'a ProbeHeads,
    pub(in crate::train) trained: &'a BTreeMap<String, Trained>,
    pub(in crate::train) stage: &'a Stage,
    pub(in crate::train) options: &'a PlanOptions,
    pub(in crate::train) mixture: &'a Mixture,
    /// What the reference of a stage that learns preferences says of its pairs; without it, the reference is the model
    /// without its adapters.
    pub(in crate::train) reference: Option<&'a ReferenceTable>,
    pub(in crate::train) loader: &'a SampleLoader,
    /// Samples of the mixture that are loaded ahead.
    pub(in crate::train) feed: Option<&'a Feed<Loading>>,
}

/// Summed gradients and losses of some samples.
#[derive(Default)]
pub(in crate::train) struct Accumulated {
    pub(in crate::train) gradients: Gradients,
    /// Sum of the losses in nats.
    pub(in crate::train) loss: f64,
    /// What `loss` and `gradients` are divided by for the mean: targets, or samples.
    pub(in crate::train) count: f64,
    /// Nats and number of the answers' targets of each entry of the mixture; with DPO, losses and number of its pairs.
    pub(in crate::train) entries: BTreeMap<usize, (f64, usize)>,
    /// Tokens of all sequences.
    pub(in crate::train) tokens: usize,
    /// Samples that were of no use.
    pub(in crate::train) bad: Vec<BadSample>,
    /// Samples that were longer than the stage allows.
    pub(in crate::train) too_long: u64,
    /// Rewards of pairs, where preferences are learned.
    pub(in crate::train) rewards: RewardSum,
    /// Pairs of which only the chosen answer is learned, because the objective is cross-entropy.
    pub(in crate::train) chosen_only: u64,
    /// Seconds that threads waited for samples, of all threads.
    pub(in crate::train) waited: f64,
}

impl PackWork<'_> {
    /// Gradients of the samples of one step. Packs are independent, so some are computed at once; they are added in
    /// their order, whatever the number of threads, and few more of them are held than are computed at once.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::train) fn step(&self, draws: &[Draw]) -> Result<Accumulated, LabError> {
        match self.contrastive() {
            Some(work) => self.aligned(&work, draws, true),
            None => self.sum(draws, self.at_once(), |draws| self.gradients(draws)),
        }
    }

    /// Losses of the answers without gradients.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::train) fn losses(&self, draws: &[Draw]) -> Result<Accumulated, LabError> {
        if let Some(work) = self.contrastive() {
            return self.aligned(&work, draws, false);
        }
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
        (AT_ONCE_BYTES / bytes.max(1)).clamp(1, rayon::current_num_threads())
    }

    /// What `work` makes of each pack, added in their order.
    ///
    /// # Errors
    /// The first one of `work`.
    pub(in crate::train) fn sum(
        &self,
        draws: &[Draw],
        at_once: usize,
        work: impl Fn(&[Draw]) -> Result<Accumulated, LabError> + Sync,
    ) -> Result<Accumulated, LabError> {
        let packs = draws.chunks(self.stage.pack);
        let waiting = at_once.min(packs.len()).max(1) as f64;
        // So many at a time; where there is a thread for each, whichever is free takes the next.
        if at_once < rayon::current_num_threads().max(2) {
            let (packs, mut sum) = (packs.collect::<Vec<_>>(), Accumulated::default());
            for group in packs.chunks(at_once) {
                let found = group.par_iter().map(|draws| work(draws)).collect::<Result<Vec<_>, LabError>>()?;
                sum = found.into_iter().fold(sum, Accumulated::with);
            }
            return Ok(Accumulated { waited: sum.waited / waiting, ..sum });
        }
        let sum = Mutex::new(InOrder::default());
        packs.enumerate().par_bridge().try_for_each(|(number, draws)| {
            let pack = work(draws)?;
            sum.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).add(number, pack);
            Ok::<(), LabError>(())
        })?;
        let sum = sum.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).sum;
        // Packs that are computed at once wait at once.
        Ok(Accumulated { waited: sum.waited / waiting, ..sum })
    }

    /// What computes the losses between media and captions, where they are what is learned.
    pub(in crate::train) fn contrastive(&self) -> Option<ContrastiveWork<'_>> {
        let (aligner, weights) = (self.aligner?, self.stage.objective.contrastive()?);
        let PackWork { model, trained, options, seed, .. } = *self;
        let (pack, at_once) = (self.stage.pack, self.at_once());
        Some(ContrastiveWork { model, aligner, trained, options, weights, seed, pack, at_once })
    }

    /// Losses between media and captions of one step, and their gradients if it is to `learn`.
    fn aligned(&self, work: &ContrastiveWork<'_>, draws: &[Draw], learn: bool) -> Result<Accumulated, LabError> {
        let prepare = |draw: &Draw| -> Result<Result<AlignedSample, BadSample>, LabError> {
            match self.mixture.sample(draw) {
                Err(bad) => Ok(Err(bad)),
                Ok(sample) => match work.prepare(&sample, draw.row(), draw.number) {
                    Ok(sample) => Ok(Ok(sample)),
                    Err(error) => Ok(Err(self.mixture.bad(draw, unusable(error)?))),
                },
            }
        };
        let (mut sum, mut samples) = (Accumulated::default(), Vec::new());
        for prepared in draws.par_iter().map(prepare).collect::<Result<Vec<_>, _>>()? {
            match prepared {
                Err(bad) => sum.bad.push(bad),
                Ok(sample) => samples.push(sample),
            }
        }
        // In an order that does not depend on how the step was dealt out.
        samples.sort_by_key(AlignedSample::row);
        let entries: Vec<usize> = samples.iter().map(|sample| sample.row().0).collect();
        if samples.is_empty() {
            return Ok(sum);
        }
        let found = work.step(&samples, learn)?;
        sum.tokens = samples.iter().map(AlignedSample::words).sum();
        sum.add_losses(&entries, &found.captions);
        (sum.gradients, sum.loss, sum.count) = (found.gradients, found.loss, 1.0);
        Ok(sum)
    }

    fn gradients(&self, draws: &[Draw]) -> Result<Accumulated, LabError> {
        let (pack, entries, mut sum) = self.pack(draws)?;
        let labeled = self.stage.token_loss_weight > 0.0 && !pack.labels.rows.is_empty();
        if pack.rows.is_empty() && !labeled {
            return Ok(sum);
        }
        let found = compute_loss(self.model, self.heads, &pack, self.stage.token_loss_weight, self.stage.loss)?;
        sum.add_losses(&entries, &found.samples);
        sum.loss = f64::from(found.loss.to_scalar::<f32>()?);
        sum.count = found.count;
        drop(pack);
        sum.gradients = gradients_of(found.loss, self.trained)?;
        Ok(sum)
    }

    /// The samples that are of use as a pack, and the entry of each.
    fn pack(&self, draws: &[Draw]) -> Result<(Pack, Vec<usize>, Accumulated), LabError> {
        let (mut pack, mut entries, mut sum) = (Pack::default(), Vec::new(), Accumulated::default());
        for draw in draws {
            let Some(sample) = self.usable(draw, &mut sum)? else { continue };
            let is_pair = sample.rejected.is_some();
            match pack.add_loaded(self.model, self.loader, sample) {
                Ok(()) => {
                    entries.push(draw.entry);
                    sum.chosen_only += u64::from(is_pair);
                }
                Err(error) => sum.bad.push(self.mixture.bad(draw, unusable(error)?)),
            }
        }
        // Where nothing is asked, visual tokens are all that there is.
        let visual = || pack.visual.iter().map(|rows| rows.dim(0)).sum::<Result<usize, _>>();
        sum.tokens = if pack.positions.is_empty() { visual()? } else { pack.positions.len() };
        Ok((pack, entries, sum))
    }

    /// The sample of `draw`; one that is of no use is counted in `sum`, as are the seconds that loading took.
    ///
    /// # Errors
    /// One that is not the sample's.
    pub(in crate::train) fn usable(
        &self,
        draw: &Draw,
        sum: &mut Accumulated,
    ) -> Result<Option<LoadedSample>, LabError> {
        let begun = Instant::now();
        let ahead = self.feed.and_then(|feed| feed.take(draw.number));
        let loaded = ahead.unwrap_or_else(|| self.mixture.load(draw, self.loader));
        sum.waited += begun.elapsed().as_secs_f64();
        match loaded {
            Ok(Ok(Some(sample))) => return Ok(Some(sample)),
            Ok(Ok(None)) => sum.too_long += 1,
            Ok(Err(error)) => sum.bad.push(self.mixture.bad(draw, unusable(error)?)),
            Err(bad) => sum.bad.push(bad),
        }
        Ok(None)
    }
}

/// What is wrong with a sample; an error that is not the sample's is one of the run.
///
/// # Errors
/// That one.
pub(in crate::train) fn unusable(error: LabError) -> Result<String, LabError> {
    match &error {
        LabError::Caller(_)
        | LabError::Engine(EngineError::Media { .. } | EngineError::Limit { .. })
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
    /// Adds losses and their numbers of targets, each to its entry of the mixture.
    pub(in crate::train) fn add_losses(&mut self, entries: &[usize], samples: &[(f64, usize)]) {
        for (entry, (nats, targets)) in entries.iter().zip(samples) {
            let sum = self.entries.entry(*entry).or_default();
            *sum = (sum.0 + nats, sum.1 + targets);
        }
    }

    /// The sum of both.
    pub(in crate::train) fn with(mut self, other: Accumulated) -> Self {
        add_gradients(&mut self.gradients, other.gradients);
        for (entry, (nats, targets)) in other.entries {
            let sum = self.entries.entry(entry).or_default();
            *sum = (sum.0 + nats, sum.1 + targets);
        }
        self.loss += other.loss;
        self.count += other.count;
        self.tokens += other.tokens;
        self.bad.extend(other.bad);
        self.too_long += other.too_long;
        self.rewards = self.rewards.with(other.rewards);
        self.chosen_only += other.chosen_only;
        self.waited += other.waited;
        self
    }
}
