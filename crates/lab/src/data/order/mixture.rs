//! Several datasets, drawn from by weight.

use super::epoch::EpochOrder;
use super::permutation::{Permutation, hash};
use crate::error::LabError;

/// Draws of a block, over which shares are exact up to rounding.
const BLOCK: u64 = 1 << 16;

/// Several datasets, drawn from by weight: which sample a draw is follows from the seed and its number alone.
///
/// Draws come in blocks, in each of which a dataset has a fixed number of places; the places of a block are permuted.
/// Each dataset goes through its own epochs, as [`EpochOrder`] orders them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MixtureOrder {
    orders: Vec<EpochOrder>,
    /// For each dataset, the places of a block up to and with its own.
    ends: Vec<u64>,
    seed: u64,
}

/// One draw of a mixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Number of the dataset.
    pub dataset: usize,
    /// How often its samples came before.
    pub epoch: u64,
    /// Number of the sample.
    pub index: u64,
}

impl MixtureOrder {
    /// Datasets of `(samples, weight)`.
    ///
    /// # Errors
    /// [`LabError::Caller`] when there is none, when one has no samples, and for weights that are not positive numbers.
    pub fn weighted(parts: &[(u64, f64)], seed: u64) -> Result<Self, LabError> {
        let total: f64 = parts.iter().map(|(_, weight)| weight).sum();
        if let Some(number) = parts.iter().position(|(_, weight)| !(weight.is_finite() && *weight > 0.0)) {
            let text = format!("the weight of dataset {} is {}, not a positive number", number + 1, parts[number].1);
            return Err(LabError::Caller(text));
        }
        // Rounded down, and one place for the smallest; what is left goes to those that lost the most.
        let exact = |weight: f64| weight / total * BLOCK as f64;
        let mut places: Vec<u64> = parts.iter().map(|(_, weight)| (exact(*weight).floor() as u64).max(1)).collect();
        let mut by_loss: Vec<usize> = (0..parts.len()).collect();
        by_loss.sort_by(|a, b| exact(parts[*b].1).fract().total_cmp(&exact(parts[*a].1).fract()));
        let left = BLOCK.saturating_sub(places.iter().sum());
        for number in by_loss.into_iter().take(left as usize) {
            places[number] += 1;
        }
        let lens: Vec<u64> = parts.iter().map(|(len, _)| *len).collect();
        MixtureOrder::of_places(&lens, &places, seed)
    }

    /// Datasets of so many samples, each sample of which comes once before any comes again.
    ///
    /// # Errors
    /// [`LabError::Caller`] when there is no dataset, and when one has no samples.
    pub fn joined(lens: &[u64], seed: u64) -> Result<Self, LabError> {
        MixtureOrder::of_places(lens, lens, seed)
    }

    fn of_places(lens: &[u64], places: &[u64], seed: u64) -> Result<Self, LabError> {
        if lens.is_empty() {
            return Err(LabError::Caller("a mixture of no datasets".to_string()));
        }
        if let Some(number) = lens.iter().position(|len| *len == 0) {
            return Err(LabError::Caller(format!("dataset {} has no samples", number + 1)));
        }
        let mut end = 0_u64;
        let mut ends = Vec::with_capacity(places.len());
        for places in places {
            let next = end.checked_add(*places);
            end = next.ok_or_else(|| LabError::Caller("the datasets have too many samples to be counted".into()))?;
            ends.push(end);
        }
        let order = |(number, len): (usize, &u64)| EpochOrder::new(*len, hash(seed.wrapping_add(number as u64)));
        Ok(MixtureOrder { orders: lens.iter().enumerate().map(order).collect(), ends, seed })
    }

    /// Draw `number`, from 0.
    pub fn draw(&self, number: u64) -> Drawn {
        let places = self.ends.last().copied().unwrap_or(1);
        let (block, place) = (number / places, number % places);
        let slot = Permutation::new(places, hash(self.seed ^ hash(!block))).at(place);
        let dataset = self.ends.partition_point(|end| *end <= slot);
        let before = dataset.checked_sub(1).map_or(0, |before| self.ends[before]);
        let own = self.ends[dataset] - before;
        let (epoch, index) = self.orders[dataset].draw(block * own + (slot - before));
        Drawn { dataset, epoch, index }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weighted_mixture_has_its_shares_and_whole_epochs() {
        let mixture = MixtureOrder::weighted(&[(1000, 3.0), (7, 1.0), (50, 0.00001)], 5).expect("a mixture");
        let mut seen = [Vec::new(), Vec::new(), Vec::new()];
        for number in 0..2 * BLOCK {
            let Drawn { dataset, epoch, index } = mixture.draw(number);
            seen[dataset].push((epoch, index));
        }
        assert!(seen[0].len().abs_diff(98_304) <= 2 && seen[2].len() == 2, "{} {}", seen[0].len(), seen[2].len());
        seen[1].sort_unstable();
        let count = seen[1].len() as u64;
        assert!(
            seen[1]
                .iter()
                .copied()
                .take(7 * (count as usize / 7))
                .eq((0..count / 7).flat_map(|epoch| { (0..7).map(move |index| (epoch, index)) })),
            "every sample of an epoch comes once"
        );
        // A share is met over short runs, too: 750 of 1000 are expected, with a deviation of about 14.
        let first = (0..1000).filter(|number| mixture.draw(*number).dataset == 0).count();
        assert!((690..810).contains(&first), "{first}");
    }

    #[test]
    fn joined_datasets_are_one_epoch_after_the_other() {
        let mixture = MixtureOrder::joined(&[5, 3], 1).expect("a mixture");
        for epoch in 0..3 {
            let mut drawn: Vec<_> = (8 * epoch..8 * epoch + 8).map(|number| mixture.draw(number)).collect();
            assert!(drawn.iter().all(|drawn| drawn.epoch == epoch));
            drawn.sort_by_key(|drawn| (drawn.dataset, drawn.index));
            let pairs: Vec<_> = drawn.iter().map(|drawn| (drawn.dataset, drawn.index)).collect();
            assert_eq!(pairs, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1), (1, 2)]);
        }
    }

    #[test]
    fn mixtures_that_cannot_be_are_refused() {
        let error = |mixture: Result<MixtureOrder, LabError>| mixture.map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(error(MixtureOrder::joined(&[], 1)), Err("a mixture of no datasets".into()));
        assert_eq!(error(MixtureOrder::joined(&[1, 0], 1)), Err("dataset 2 has no samples".into()));
        let negative = MixtureOrder::weighted(&[(1, -1.0)], 1);
        assert_eq!(error(negative), Err("the weight of dataset 1 is -1, not a positive number".into()));
    }
}
