//! Implicit rewards of pairs: `beta` times the log-probability that an answer has gained over the reference.

use super::dpo::PairLogProbs;

/// Means over some pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rewards {
    /// Reward of the chosen answers.
    pub chosen: f64,
    /// Reward of the rejected answers.
    pub rejected: f64,
    /// By how much the chosen answers have more.
    pub margin: f64,
    /// Share of the pairs whose chosen answer has more.
    pub accuracy: f64,
}

impl Rewards {
    /// Its numbers by their names.
    pub fn named(&self) -> [(&'static str, f64); 4] {
        let Rewards { chosen, rejected, margin, accuracy } = *self;
        [("chosen", chosen), ("rejected", rejected), ("margin", margin), ("accuracy", accuracy)]
    }
}

/// Sums over some pairs.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::train) struct RewardSum {
    chosen: f64,
    rejected: f64,
    /// Pairs whose chosen answer has more.
    right: usize,
    pairs: usize,
}

impl RewardSum {
    pub(super) fn add(&mut self, rewards: PairLogProbs) {
        self.chosen += rewards.chosen;
        self.rejected += rewards.rejected;
        self.right += usize::from(rewards.chosen > rewards.rejected);
        self.pairs += 1;
    }

    /// Its numbers as bits, to be sent.
    pub(in crate::train) fn to_bits(self) -> [u64; 4] {
        [self.chosen.to_bits(), self.rejected.to_bits(), self.right as u64, self.pairs as u64]
    }

    /// The sum whose numbers were sent.
    pub(in crate::train) fn from_bits([chosen, rejected, right, pairs]: [u64; 4]) -> Self {
        let (chosen, rejected) = (f64::from_bits(chosen), f64::from_bits(rejected));
        RewardSum { chosen, rejected, right: right as usize, pairs: pairs as usize }
    }

    /// The sum of both.
    pub(in crate::train) fn with(self, other: RewardSum) -> Self {
        RewardSum {
            chosen: self.chosen + other.chosen,
            rejected: self.rejected + other.rejected,
            right: self.right + other.right,
            pairs: self.pairs + other.pairs,
        }
    }

    /// Means; `None` without a pair.
    pub(in crate::train) fn mean(&self) -> Option<Rewards> {
        let pairs = self.pairs as f64;
        let (chosen, rejected) = (self.chosen / pairs, self.rejected / pairs);
        let accuracy = self.right as f64 / pairs;
        (self.pairs > 0).then_some(Rewards { chosen, rejected, margin: chosen - rejected, accuracy })
    }
}
