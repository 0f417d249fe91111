//! Rounding of f32 values to int8: groups of weights, and rows of activations.

use super::super::layout::{ACT_GROUP, I4_GROUP, I8_GROUP};
use super::super::weight_type::WeightType;
use crate::bf16::{bf16_to_f32, f32_to_bf16};
use crate::isa::per_isa;

/// 1.5 * 2^23: adding it to a small f32 rounds to the nearest integer, ties to even, and leaves the integer in the low
/// bits.
pub(crate) const ROUNDING_MAGIC: f32 = 12_582_912.0;

/// The largest absolute value; infinity or NaN where there is one.
#[inline(always)]
pub(crate) fn abs_max(values: &[f32]) -> f32 {
    // As integers, the bits of absolute values are ordered like the values; infinity and NaN come last.
    f32::from_bits(values.iter().fold(0, |max, value| value.abs().to_bits().max(max)))
}

/// Multiplier that maps `[-abs_max, abs_max]` to `[-127, 127]`; 0 if `abs_max` is too small to divide by.
#[inline(always)]
pub(crate) fn inverse_scale(abs_max: f32) -> f32 {
    if abs_max > 1e-30 { 127.0 / abs_max } else { 0.0 }
}

per_isa! {
    /// Quantizes one int8 group of weights: its scale as bf16 bits, and `round(value / scale) + 128`. Only the first
    /// `group.len()` values of `quantized` are written.
    pub(in crate::gemm) fn quantize_group_i8 / quantize_group_i8_at(
        group: &[f32], scale: &mut u16, quantized: &mut [u8; I8_GROUP],
    ) {
        let abs_max = abs_max(group);
        // The scale is rounded up, so that no value exceeds 127.
        let up = (abs_max / 127.0).to_bits().wrapping_add(0xffff) >> 16;
        *scale = if abs_max.is_finite() { up as u16 } else { f32_to_bf16(f32::NAN) };
        let inverse = if abs_max > 1e-30 { 1.0 / bf16_to_f32(*scale) } else { 0.0 };
        for (quantized, value) in quantized.iter_mut().zip(group) {
            *quantized = (value * inverse + ROUNDING_MAGIC).to_bits() as u8 ^ 0x80;
        }
    }
}

/// Activations of a row that are quantized at once: few enough that everything touched stays in the L1 cache.
pub(crate) const QUANT_BLOCK: usize = I8_GROUP;

/// Scales and zero-point corrections of [`QUANT_BLOCK`] quantized activations.
#[derive(Default)]
pub(crate) struct QuantMeta {
    /// A scale for each [`ACT_GROUP`] values.
    pub(crate) scales: [f32; QUANT_BLOCK / ACT_GROUP],
    /// For each run of [`WeightType::accumulation_len`] values its sum, in int8 times minus the weights' zero point.
    pub(crate) offsets: [i32; QUANT_BLOCK / I4_GROUP],
}

per_isa! {
    /// Quantizes [`QUANT_BLOCK`] activations to int8, four in a word; the largest of each group becomes 127 or -127.
    ///
    /// `x` is a slice on purpose: with a known length the compiler does not vectorize the loops.
    pub(in crate::gemm) fn quantize_activations / quantize_activations_at(
        x: &[f32], weight_type: WeightType, words: &mut [u32; QUANT_BLOCK / 4], meta: &mut QuantMeta,
    ) {
        let mut quantized = [0i8; QUANT_BLOCK];
        let groups = x.chunks_exact(ACT_GROUP).zip(quantized.chunks_exact_mut(ACT_GROUP));
        for ((x, quantized), scale) in groups.zip(&mut meta.scales) {
            let abs_max = abs_max(x);
            *scale = abs_max / 127.0;
            let inverse = inverse_scale(abs_max);
            for (quantized, value) in quantized.iter_mut().zip(x) {
                *quantized = (value * inverse + ROUNDING_MAGIC).to_bits() as i8;
            }
        }
        let (factor, run) = if weight_type == WeightType::Int8 { (-128, ACT_GROUP) } else { (1, I4_GROUP) };
        for (offset, quantized) in meta.offsets.iter_mut().zip(quantized.chunks_exact(run)) {
            *offset = factor * quantized.iter().map(|value| i32::from(*value)).sum::<i32>();
        }
        for i in 0..QUANT_BLOCK / 4 {
            let four = [quantized[4 * i], quantized[4 * i + 1], quantized[4 * i + 2], quantized[4 * i + 3]];
            words[i] = u32::from_le_bytes(four.map(|value| value as u8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    #[test]
    fn activations_quantize_to_the_same_bits_at_every_isa() {
        let sizes = [0.0, 1e-45, 9e-31, 2e-30, 1e-7, 1.0, 77.7, 1e20, 3.4e38];
        let types = [WeightType::Int8, WeightType::Int4];
        for (seed, weight_type) in (0..200).flat_map(|seed| types.map(|weight_type| (seed, weight_type))) {
            // Includes ties: halves of the step where the largest value is 127.
            let value = |i: usize| ((i * (seed + 3) * 7919 % 509) as f32 - 254.0) * 0.5 * sizes[seed % sizes.len()];
            let mut x: [f32; QUANT_BLOCK] = std::array::from_fn(value);
            match seed % 20 {
                17 => x[seed % QUANT_BLOCK] = f32::NAN,
                18 => x[seed % QUANT_BLOCK] = f32::INFINITY,
                _ => {}
            }
            let run = |isa| {
                let (mut words, mut meta) = ([9; QUANT_BLOCK / 4], QuantMeta::default());
                quantize_activations_at(isa, &x, weight_type, &mut words, &mut meta);
                (words, meta.scales.map(f32::to_bits), meta.offsets)
            };
            let want = run(Isa::Portable);
            for isa in Isa::available() {
                let got = run(isa);
                // Of values that are not finite only the scale matters.
                let same =
                    if x.iter().all(|x| x.is_finite()) { got == want } else { !f32::from_bits(got.1[0]).is_finite() };
                assert!(same, "{isa:?} {weight_type:?} {seed}: {got:?} {want:?}");
            }
        }
    }
}
