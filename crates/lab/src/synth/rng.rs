//! The seeded random number generator of synthetic scenes, so that a scene is a function of its seed on every machine.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// What SplitMix64 adds to its state for every output: 2^64 divided by the golden ratio, rounded to an odd integer.
pub(super) const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64: a bijection of 64-bit integers whose every output bit depends on every input bit.
pub(super) fn mix64(word: u64) -> u64 {
    // The generator adds GAMMA before it mixes.
    SplitMix64::seed_from_u64(word.wrapping_sub(GAMMA)).next_u64()
}

/// A reproducible stream of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct SynthRng {
    generator: SplitMix64,
}

impl SynthRng {
    /// The stream of `seed` inside `domain`; the domain's name (hashed with FNV-1a) keeps streams for different
    /// purposes apart.
    pub fn new(domain: &str, seed: u64) -> Self {
        let hash = domain
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        SynthRng { generator: SplitMix64::seed_from_u64(mix64(hash ^ mix64(seed))) }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// A uniform integer in `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// A uniform integer in `low..=high`.
    pub fn range_inclusive(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A uniform number in `[0, 1)` with 24 random bits.
    pub fn unit_f32(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// A uniform number in `[low, high)`; `low` when the interval is empty.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + self.unit_f32() * (high - low).max(0.0)
    }

    /// True with probability `p`.
    pub fn random_bool(&mut self, p: f32) -> bool {
        self.unit_f32() < p
    }

    /// A uniform choice from `items`, which must not be empty.
    pub fn choose<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// An index into `weights`, with probability proportional to its weight; 0 when all are zero.
    pub fn weighted_index(&mut self, weights: &[f32]) -> usize {
        let mut left = self.unit_f32() * weights.iter().sum::<f32>();
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        weights.iter().rposition(|weight| *weight > 0.0).unwrap_or(0)
    }

    /// Shuffles `items` (Fisher-Yates); every order is equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Committed recipes and held-out sets name seeds, so these numbers must never change.
    #[test]
    fn a_seed_keeps_its_stream() {
        let mut rng = SynthRng::new("drawn/train", 7);
        let words: [u64; 3] = std::array::from_fn(|_| rng.next_u64());
        assert_eq!(words, [0xcb97_652c_89a4_a96e, 0x09d2_8db0_2dd2_fb5a, 0x3c0e_a0c7_b1e9_57e4]);
        assert_eq!([0, 1, u64::MAX].map(mix64), [0, 0x5692_161d_100b_05e5, 0xb4d0_55fc_f2cb_bd7b]);
    }
}
