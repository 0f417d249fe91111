//! A permutation of many numbers without a table of them.
//!
//! A Feistel network permutes the numbers of an even count of bits; numbers beyond the length are put through it again
//! until they fall below (cycle walking). Source: Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002.

/// Rounds of the network. Four make a good permutation of a good function; ours is a hash of few bits.
const ROUNDS: u64 = 8;

/// A permutation of the numbers below `len`, by its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permutation {
    len: u64,
    half: u32,
    key: u64,
}

impl Permutation {
    pub(super) fn new(len: u64, key: u64) -> Self {
        let bits = u64::BITS - len.saturating_sub(1).leading_zeros();
        Permutation { len, half: bits.div_ceil(2).max(1), key }
    }

    /// The number that stands at `place`, which is below the length. Takes less than four walks on average.
    pub(super) fn at(&self, place: u64) -> u64 {
        let mut number = place;
        // The walk ends: a permutation leads back to `place`, which is below the length.
        loop {
            number = self.walk(number);
            if number < self.len || self.len == 0 {
                return number;
            }
        }
    }

    fn walk(&self, number: u64) -> u64 {
        let mask = if self.half == 32 { u64::from(u32::MAX) } else { (1 << self.half) - 1 };
        let (mut left, mut right) = (number >> self.half, number & mask);
        for round in 0..ROUNDS {
            let mixed = hash(self.key ^ hash(round << 32 | right)) & mask;
            (left, right) = (right, left ^ mixed);
        }
        left << self.half | right
    }
}

/// The finalizer of SplitMix64. Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
pub(super) fn hash(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_once_whatever_the_length() {
        for len in (1..70).chain([255, 256, 257, 1000, 4097]) {
            let order = Permutation::new(len, 7);
            let mut seen = vec![false; len as usize];
            for place in 0..len {
                let number = order.at(place) as usize;
                assert!(!std::mem::replace(&mut seen[number], true), "{number} of {len} comes twice");
            }
        }
    }

    #[test]
    fn orders_look_drawn() {
        // The mean distance of neighbors in a drawn order is a third of the length; its deviation here is about 0.7 %.
        let (len, mut first) = (10_000, std::collections::BTreeSet::new());
        for key in 0..32 {
            let order = Permutation::new(len, hash(key));
            let distance: u64 = (1..len).map(|place| order.at(place).abs_diff(order.at(place - 1))).sum();
            let ratio = distance as f64 / (len - 1) as f64 / (len as f64 / 3.0);
            assert!((0.97..1.03).contains(&ratio), "{key}: {ratio}");
            first.insert(order.at(0));
        }
        assert!(first.len() > 28, "{first:?}");
    }

    #[test]
    fn the_longest_order_has_no_overflow() {
        let order = Permutation::new(u64::MAX, 1);
        assert!((0..1000).all(|place| order.at(u64::MAX - 1 - place) < u64::MAX));
    }
}
