//! Values to whole numbers with scales, as tiles multiply them.

use super::layout::{self, MAGIC};
use super::{CHUNK, GROUP, GROUP8, Kind};
use crate::level::per_level;

/// Columns that are packed at once: few enough that all that is touched stays in the first cache.
pub(super) const NEAR: usize = GROUP8;

/// What stands beside the whole numbers of [`NEAR`] values.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) scales: [f32; NEAR / CHUNK],
    pub(super) offsets: [i32; NEAR / GROUP],
}

per_level! {
    /// [`NEAR`] values `x` as whole numbers, four in a word, the largest of each chunk 127. (Where the compiler sees
    /// how many they are, it gives up vectors for them.)
    pub(super) fn quantise / quantise_at(x: &[f32], kind: Kind, words: &mut [u32; NEAR / 4], beside: &mut Beside) {
        let mut whole = [0i8; NEAR];
        for ((x, whole), scale) in x.chunks_exact(CHUNK).zip(whole.chunks_exact_mut(CHUNK)).zip(&mut beside.scales) {
            let most = layout::largest(x);
            *scale = most / 127.0;
            let inverse = layout::steps_of(most);
            for (whole, value) in whole.iter_mut().zip(x) {
                *whole = (value * inverse + MAGIC).to_bits() as i8;
            }
        }
        let (zero, span) = if kind == Kind::Int8 { (128, CHUNK) } else { (8, GROUP) };
        for (offset, whole) in beside.offsets.iter_mut().zip(whole.chunks_exact(span)) {
            *offset = -zero * whole.iter().map(|value| i32::from(*value)).sum::<i32>();
        }
        for i in 0..NEAR / 4 {
            let four = [whole[4 * i], whole[4 * i + 1], whole[4 * i + 2], whole[4 * i + 3]];
            words[i] = u32::from_le_bytes(four.map(|value| value as u8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    #[test]
    fn every_level_gives_the_same_bits() {
        let sizes = [0.0, 1e-45, 9e-31, 2e-30, 1e-7, 1.0, 77.7, 1e20, 3.4e38];
        for (seed, kind) in (0..200).flat_map(|seed| [(seed, Kind::Int8), (seed, Kind::Int4)]) {
            // Ties, too: halves of the step where the largest value is 127.
            let value = |i: usize| ((i * (seed + 3) * 7919 % 509) as f32 - 254.0) * 0.5 * sizes[seed % sizes.len()];
            let mut x: [f32; NEAR] = std::array::from_fn(value);
            match seed % 20 {
                17 => x[seed % NEAR] = f32::NAN,
                18 => x[seed % NEAR] = f32::INFINITY,
                _ => {}
            }
            let run = |level| {
                let (mut words, mut beside) = ([9; NEAR / 4], Beside::default());
                quantise_at(level, &x, kind, &mut words, &mut beside);
                (words, beside.scales.map(f32::to_bits), beside.offsets)
            };
            let want = run(Level::Portable);
            for level in Level::available() {
                let got = run(level);
                // Of what is not finite the scale alone counts.
                let same =
                    if x.iter().all(|x| x.is_finite()) { got == want } else { !f32::from_bits(got.1[0]).is_finite() };
                assert!(same, "{level:?} {kind:?} {seed}: {got:?} {want:?}");
            }
        }
    }
}
