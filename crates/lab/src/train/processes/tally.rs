//! Losses and counts over all processes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::collectives::Collectives;
use crate::data::BadSample;
use crate::error::LabError;
use crate::train::objective::RewardSum;
use crate::train::optimizer::Trained;
use crate::train::trainer::Accumulated;

/// What a process says of its samples. Floats are sent as their bits.
#[derive(Serialize, Deserialize)]
struct Tally {
    loss: u64,
    count: u64,
    entries: Vec<(usize, u64, usize)>,
    tokens: usize,
    /// File, row and reason.
    bad: Vec<(String, u64, String)>,
    too_long: u64,
    rewards: [u64; 4],
    chosen_only: u64,
    waited: u64,
    /// Which of the trained parameters have a gradient.
    with_gradient: Vec<usize>,
}

impl Tally {
    fn of(sum: &Accumulated, trained: &BTreeMap<String, Trained>) -> Self {
        // Every field, so that a new one is summed as well.
        let Accumulated { gradients, loss, count, entries, tokens, bad, too_long, rewards, chosen_only, waited } = sum;
        let entry = |(entry, (nats, targets)): (&usize, &(f64, usize))| (*entry, nats.to_bits(), *targets);
        let bad = bad.iter().map(|bad| (bad.file.to_string_lossy().into_owned(), bad.row, bad.reason.clone()));
        let has_gradient = |(_, name): &(usize, &String)| gradients.contains_key(*name);
        Tally {
            loss: loss.to_bits(),
            count: count.to_bits(),
            entries: entries.iter().map(entry).collect(),
            tokens: *tokens,
            bad: bad.collect(),
            too_long: *too_long,
            rewards: rewards.to_bits(),
            chosen_only: *chosen_only,
            waited: waited.to_bits(),
            with_gradient: trained.keys().enumerate().filter(has_gradient).map(|(at, _)| at).collect(),
        }
    }

    /// The sums that were told, without gradients.
    fn sums(&self) -> Accumulated {
        let entry = |(entry, nats, targets): &(usize, u64, usize)| (*entry, (f64::from_bits(*nats), *targets));
        let bad = |(file, row, reason): &(String, u64, String)| BadSample {
            file: file.into(),
            row: *row,
            reason: reason.clone(),
        };
        Accumulated {
            gradients: BTreeMap::new(),
            loss: f64::from_bits(self.loss),
            count: f64::from_bits(self.count),
            entries: self.entries.iter().map(entry).collect(),
            tokens: self.tokens,
            bad: self.bad.iter().map(bad).collect(),
            too_long: self.too_long,
            rewards: RewardSum::from_bits(self.rewards),
            chosen_only: self.chosen_only,
            waited: f64::from_bits(self.waited),
        }
    }
}

/// The sums of all processes in the order of ranks, with the gradients of this one alone: for every parameter that has
/// one in any process, zeros where it has none here.
///
/// # Errors
/// When another process has failed, or is none of this run.
pub(super) fn total(
    processes: &dyn Collectives,
    sum: Accumulated,
    trained: &BTreeMap<String, Trained>,
) -> Result<Accumulated, LabError> {
    if processes.is_alone() {
        return Ok(sum);
    }
    let wrong = |error: serde_json::Error| LabError::Caller(format!("what a process says of a step: {error}"));
    let own = serde_json::to_vec(&Tally::of(&sum, trained)).map_err(wrong)?;
    let mut gradients = sum.gradients;
    let (mut all, mut waited) = (Accumulated::default(), 0.0f64);
    let names: Vec<(&String, &Trained)> = trained.iter().collect();
    for tally in processes.gather(&own)? {
        let tally: Tally = serde_json::from_slice(&tally).map_err(wrong)?;
        for (name, trained) in tally.with_gradient.iter().filter_map(|at| names.get(*at)) {
            if !gradients.contains_key(*name) {
                gradients.insert((*name).clone(), vec![0.0; trained.variable.elem_count()]);
            }
        }
        let sums = tally.sums();
        // They wait at once.
        waited = waited.max(sums.waited);
        all = all.with(sums);
    }
    Ok(Accumulated { gradients, waited, ..all })
}
