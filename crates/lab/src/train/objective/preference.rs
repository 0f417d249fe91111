//! Steps and measurements of the stage's objective: cross-entropy as `gradients.rs` has it, or preferences.

use std::collections::BTreeMap;

use candle_core::Tensor;
use rayon::prelude::*;

use super::dpo::{Dpo, PairLogProbs};
use super::pairs::{NO_PAIR, NO_REFERENCE, add_pair, log_probs};
use crate::error::LabError;
use crate::train::mixture::Draw;
use crate::train::optimizer::gradients_of;
use crate::train::pack::{Pack, losses};
use crate::train::trainer::{Accumulated, PackWork, unusable};

/// What the reference says of the samples of a step, by their numbers in the run.
type References = BTreeMap<u64, PairLogProbs>;

/// Pairs as a pack.
#[derive(Default)]
struct PairPack {
    pack: Pack,
    /// Of each pair: its place among the draws, and what the reference says of it.
    pairs: Vec<(usize, PairLogProbs)>,
    sum: Accumulated,
}

impl PackWork<'_> {
    /// Gradients of the samples of one step.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::train) fn learn(&self, draws: &[Draw]) -> Result<Accumulated, LabError> {
        let Some(dpo) = self.stage.objective.dpo() else { return self.step(draws) };
        let references = self.references(draws)?;
        self.sum(draws, self.at_once(), |draws| self.pairs(&dpo, draws, &references, true))
    }

    /// Losses and rewards without gradients.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::train) fn measure(&self, draws: &[Draw]) -> Result<Accumulated, LabError> {
        let Some(dpo) = self.stage.objective.dpo() else { return self.losses(draws) };
        let references = self.references(draws)?;
        self.sum(draws, rayon::current_num_threads(), |draws| self.pairs(&dpo, draws, &references, false))
    }

    /// What the reference says: looked up, or computed by the model without its adapters, before any pass with them.
    fn references(&self, draws: &[Draw]) -> Result<References, LabError> {
        let found: Vec<Option<PairLogProbs>> = match self.reference {
            Some(table) => draws.iter().map(|draw| table.get(&draw.row()).copied().flatten()).collect(),
            None => self.model.weights().without_adapters(|| self.log_probs(draws, self.stage.pack))?,
        };
        let numbered = draws.iter().zip(found).map(|(draw, found)| Some((draw.number, found?)));
        Ok(numbered.flatten().collect())
    }

    /// What the model says of each draw, in passes of `pack` pairs; `None` for a sample that is of no use.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::train) fn log_probs(
        &self,
        draws: &[Draw],
        pack: usize,
    ) -> Result<Vec<Option<PairLogProbs>>, LabError> {
        let of_pack = |draws: &[Draw]| -> Result<Vec<Option<PairLogProbs>>, LabError> {
            let mut found = vec![None; draws.len()];
            let made = self.pair_pack(draws, |_| Some(PairLogProbs::default()))?;
            if !made.pairs.is_empty() {
                let nats = losses(self.model, &made.pack)?.flatten_all()?.to_vec1::<f32>()?;
                let pairs = made.pairs.iter().zip(log_probs(&made.pack, &nats));
                pairs.for_each(|((place, _), pair)| found[*place] = Some(pair));
            }
            Ok(found)
        };
        let packs = draws.par_chunks(pack).map(of_pack).collect::<Result<Vec<_>, LabError>>()?;
        Ok(packs.into_iter().flatten().collect())
    }

    /// The loss of a pack of pairs and, when it `learns`, its gradients.
    fn pairs(&self, dpo: &Dpo, draws: &[Draw], references: &References, learns: bool) -> Result<Accumulated, LabError> {
        let PairPack { pack, pairs, mut sum } = self.pair_pack(draws, |draw| references.get(&draw.number).copied())?;
        if pairs.is_empty() {
            return Ok(sum);
        }
        let losses_r1 = losses(self.model, &pack)?;
        let found = log_probs(&pack, &losses_r1.flatten_all()?.to_vec1::<f32>()?);
        // Of each target: the derivative of the loss by its cross entropy, which is minus its log-probability.
        let mut slopes = Vec::with_capacity(pack.rows.len());
        for (((place, reference), model), rows) in pairs.iter().zip(found).zip(pack.sample_rows.chunks_exact(2)) {
            let pair = dpo.loss(model, *reference, rows[0]);
            slopes.extend(std::iter::repeat_n(-pair.slopes.chosen as f32, rows[0]));
            slopes.extend(std::iter::repeat_n(-pair.slopes.rejected as f32, rows[1]));
            sum.loss += pair.loss;
            sum.rewards.add(pair.rewards);
            sum.add_losses(&[draws[*place].entry], &[(pair.loss, 1)]);
        }
        sum.count = pairs.len() as f64;
        if learns {
            let slopes_r1 = Tensor::from_vec(slopes, losses_r1.dims2()?, losses_r1.device())?;
            drop(pack);
            sum.gradients = gradients_of((losses_r1 * slopes_r1)?.sum_all()?, self.trained)?;
        }
        Ok(sum)
    }

    /// The samples that are of use as a pack. Without a `reference` a sample is of none.
    fn pair_pack(
        &self,
        draws: &[Draw],
        reference: impl Fn(&Draw) -> Option<PairLogProbs>,
    ) -> Result<PairPack, LabError> {
        let mut made = PairPack::default();
        for (place, draw) in draws.iter().enumerate() {
            let Some(mut sample) = self.usable(draw, &mut made.sum)? else { continue };
            let Some(rejected) = sample.rejected.take() else {
                made.sum.bad.push(self.mixture.bad(draw, NO_PAIR.to_string()));
                continue;
            };
            // What the reference could not be shown is tried again alone, to say what is wrong with it.
            let (reference, mut alone) = (reference(draw), Pack::default());
            let pack = if reference.is_some() { &mut made.pack } else { &mut alone };
            match (add_pair(pack, self.model, self.loader, (sample, &rejected)), reference) {
                (Ok(()), Some(reference)) => made.pairs.push((place, reference)),
                (Ok(()), None) => made.sum.bad.push(self.mixture.bad(draw, NO_REFERENCE.to_string())),
                (Err(error), _) => made.sum.bad.push(self.mixture.bad(draw, unusable(error)?)),
            }
        }
        made.sum.tokens = made.pack.positions.len();
        Ok(made)
    }
}
