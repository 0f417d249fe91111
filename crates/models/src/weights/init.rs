//! Weights to begin training with.

use candle_core::{Device, Tensor};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

use super::parameter::ParameterRole;
use crate::error::ModelResult;

/// A tensor of [`init_values`].
pub(crate) fn init_tensor(
    seed: u64,
    name: &str,
    shape: &[usize],
    role: ParameterRole,
    device: &Device,
) -> ModelResult<Tensor> {
    Ok(Tensor::from_vec(init_values(seed, name, shape, role), shape, device)?)
}

/// Values to begin training with: normal ones of the mean and deviation that the role asks for; the same for the same
/// `seed`, `name` and role.
pub(crate) fn init_values(seed: u64, name: &str, shape: &[usize], role: ParameterRole) -> Vec<f32> {
    let (mean, std) = role.init(shape);
    let seed = name.bytes().fold(seed, |seed, byte| SplitMix64::seed_from_u64(seed).next_u64() ^ u64::from(byte));
    let mut values = vec![0.0; shape.iter().product()];
    values.par_chunks_mut(CHUNK).enumerate().for_each(|(number, values)| {
        let mut rng = skipped(seed, number * CHUNK);
        values.iter_mut().for_each(|value| *value = mean + normal(&mut rng) * std);
    });
    values
}

/// Values that one thread makes at a time.
const CHUNK: usize = 1 << 14;

/// The generator behind so many normal values: each takes two numbers, and a number adds a constant to the state.
fn skipped(seed: u64, values: usize) -> SplitMix64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    SplitMix64::seed_from_u64(seed.wrapping_add(STEP.wrapping_mul(2 * values as u64)))
}

/// A standard normal value (Box-Muller).
fn normal(rng: &mut SplitMix64) -> f32 {
    let mut unit = || ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    ((-2.0 * unit().ln()).sqrt() * (std::f64::consts::TAU * unit()).cos()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipping_values_is_making_them() {
        let mut rng = SplitMix64::seed_from_u64(5);
        let sum: f32 = (0..1000).map(|_| normal(&mut rng)).sum();
        assert!(sum.abs() < 100.0, "a thousand normal values: {sum}");
        assert_eq!(normal(&mut rng).to_bits(), normal(&mut skipped(5, 1000)).to_bits());
    }
}
