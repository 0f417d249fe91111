//! Epochs of one dataset, each in an order of its own.

use super::permutation::{Permutation, hash};

/// The order of the samples of a dataset, epoch after epoch. Takes no memory, and any place is found at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochOrder {
    len: u64,
    seed: u64,
}

impl EpochOrder {
    /// For a dataset of `len` samples.
    pub fn new(len: u64, seed: u64) -> Self {
        EpochOrder { len, seed }
    }

    /// The sample at `place` of `epoch`; `place` is below the number of samples.
    pub fn index(&self, epoch: u64, place: u64) -> u64 {
        Permutation::new(self.len, hash(self.seed ^ hash(epoch))).at(place)
    }

    /// Epoch and sample of draw `number`, counted over all epochs.
    pub fn draw(&self, number: u64) -> (u64, u64) {
        let len = self.len.max(1);
        (number / len, self.index(number / len, number % len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_has_every_sample_once_in_an_order_of_its_own() {
        let order = EpochOrder::new(500, 3);
        let epochs: Vec<Vec<u64>> =
            (0..3).map(|epoch| (0..500).map(|place| order.index(epoch, place)).collect()).collect();
        for epoch in &epochs {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..500));
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_ne!(epochs[0], (0..500).map(|place| EpochOrder::new(500, 4).index(0, place)).collect::<Vec<_>>());
        assert_eq!(order.draw(1207), (2, epochs[2][207]), "a run goes on in the middle of an epoch");
    }

    #[test]
    fn the_order_of_a_seed_stays() {
        let order = EpochOrder::new(10, 42);
        let places: Vec<u64> = (0..10).map(|place| order.index(0, place)).collect();
        assert_eq!(places, ORDER_OF_42);
    }

    /// Checkpoints of runs rely on it.
    const ORDER_OF_42: [u64; 10] = [8, 2, 7, 1, 4, 5, 9, 6, 0, 3];
}
