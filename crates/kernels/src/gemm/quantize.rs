//! All rounding of f32 values to int8 and int4: groups of weights, and rows of activations.

use super::layout::{ACT_GROUP, I4_GROUP, I4_ZERO_POINT, I8_GROUP, NR, STEP_BYTES};
use super::weight_type::WeightType;
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
    pub(super) fn quantize_group_i8 / quantize_group_i8_at(
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

per_isa! {
    /// Quantizes one int4 group of a panel, `group` `[I4_GROUP, NR]`, to `bytes` in the panel's format. Each lane gets
    /// the one of six scales near `largest value / 8` that has the smallest squared error.
    pub(super) fn quantize_group_i4 / quantize_group_i4_at(group: &[[f32; NR]; I4_GROUP], bytes: &mut [u8]) {
        // The value of largest size, with its sign: it is mapped near -8, the end with eight steps.
        let mut extreme = [0.0f32; NR];
        for row in group {
            for (extreme, value) in extreme.iter_mut().zip(row) {
                *extreme = if value.abs() > extreme.abs() { *value } else { *extreme };
            }
        }
        let (mut least, mut best, mut best_inverse) = ([f32::INFINITY; NR], [0; NR], [0.0; NR]);
        for quarter in -2..=3 {
            let (mut bits, mut scale, mut inverse) = ([0; NR], [0.0; NR], [0.0; NR]);
            for lane in 0..NR {
                bits[lane] = f32_to_bf16(extreme[lane] / -(I4_ZERO_POINT - 0.25 * quarter as f32));
                scale[lane] = bf16_to_f32(bits[lane]);
                inverse[lane] = if scale[lane] == 0.0 { 0.0 } else { 1.0 / scale[lane] };
            }
            let mut error = [0.0; NR];
            for row in group {
                for lane in 0..NR {
                    let off = row[lane] - round_i4(row[lane] * inverse[lane]) * scale[lane];
                    error[lane] += off * off;
                }
            }
            for lane in 0..NR {
                let better = error[lane] < least[lane];
                least[lane] = if better { error[lane] } else { least[lane] };
                best[lane] = if better { bits[lane] } else { best[lane] };
                best_inverse[lane] = if better { inverse[lane] } else { best_inverse[lane] };
            }
        }
        // `nibble_position` defines this order.
        let (steps, scales) = bytes.split_at_mut(NR * I4_GROUP / 2);
        for (step, bytes) in steps.chunks_exact_mut(STEP_BYTES).enumerate() {
            let mut words = [0u32; NR];
            for byte in 0..4 {
                let (low, high) = (&group[4 * step + byte], &group[4 * step + byte + I4_GROUP / 2]);
                for lane in 0..NR {
                    let nibble = |value: f32| (round_i4(value * best_inverse[lane]) + I4_ZERO_POINT) as u8 as u32;
                    words[lane] |= (nibble(low[lane]) | nibble(high[lane]) << 4) << (8 * byte);
                }
            }
            for (word, bytes) in words.iter().zip(bytes.chunks_exact_mut(4)) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        }
        for (scale, bytes) in best.iter().zip(scales.chunks_exact_mut(2)) {
            bytes.copy_from_slice(&scale.to_le_bytes());
        }
    }
}

/// The nearest integer in `-8..=7`, ties to even.
#[inline(always)]
fn round_i4(value: f32) -> f32 {
    (value.clamp(-I4_ZERO_POINT, I4_ZERO_POINT - 1.0) + ROUNDING_MAGIC) - ROUNDING_MAGIC
}

/// Activations of a row that are quantized at once: few enough that everything touched stays in the L1 cache.
pub(crate) const QUANT_BLOCK: usize = I8_GROUP;

/// Scales and zero-point corrections of [`QUANT_BLOCK`] quantized activations.
#[derive(Default)]
pub(crate) struct QuantMeta {
    /// A scale for each [`ACT_GROUP`] values.
    pub(crate) scales: [f32; QUANT_BLOCK / ACT_GROUP],
    /// For each run of [`WeightType::accumulation_len`] values: minus the weights' zero point times the sum of the run.
    pub(crate) offsets: [i32; QUANT_BLOCK / I4_GROUP],
}

per_isa! {
    /// Quantizes [`QUANT_BLOCK`] activations to int8, four in a word; the largest of each group becomes 127 or -127.
    ///
    /// `x` is a slice on purpose: with a known length the compiler does not vectorize the loops.
    pub(super) fn quantize_activations / quantize_activations_at(
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
        let (zero_point, run) = if weight_type == WeightType::Int8 { (128, ACT_GROUP) } else { (8, I4_GROUP) };
        for (offset, quantized) in meta.offsets.iter_mut().zip(quantized.chunks_exact(run)) {
            *offset = -zero_point * quantized.iter().map(|value| i32::from(*value)).sum::<i32>();
        }
        for i in 0..QUANT_BLOCK / 4 {
            let four = [quantized[4 * i], quantized[4 * i + 1], quantized[4 * i + 2], quantized[4 * i + 3]];
            words[i] = u32::from_le_bytes(four.map(|value| value as u8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::{I4_GROUP_BYTES, nibble_position};
    use super::*;
    use crate::isa::Isa;

    /// The definition of [`quantize_group_i4`] for one lane: scale bits and stored values.
    fn reference_i4(group: &[f32]) -> (u16, Vec<u8>) {
        let extreme = group.iter().fold(0.0f32, |max, value| if value.abs() > max.abs() { *value } else { max });
        let mut best = (f32::INFINITY, 0, Vec::new());
        for quarter in -2..=3 {
            let bits = f32_to_bf16(extreme / -(8.0 - 0.25 * quarter as f32));
            let scale = bf16_to_f32(bits);
            let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
            let round = |value: &f32| (value * inverse).clamp(-8.0, 7.0).round_ties_even();
            let error = group.iter().map(|value| (value - round(value) * scale).powi(2)).sum();
            if error < best.0 {
                best = (error, bits, group.iter().map(|value| (round(value) + 8.0) as u8).collect());
            }
        }
        (best.1, best.2)
    }

    #[test]
    fn int4_groups_match_the_definition_at_every_isa() {
        let mut group = [[0.0; NR]; I4_GROUP];
        for (at, value) in group.as_flattened_mut().iter_mut().enumerate() {
            // Lane 3 is zero.
            *value = if at % NR == 3 { 0.0 } else { ((at * 37 % 101) as f32 * 0.73).sin() * (at % 7) as f32 };
        }
        for isa in Isa::available() {
            let mut bytes = vec![0xaa; I4_GROUP_BYTES];
            quantize_group_i4_at(isa, &group, &mut bytes);
            for lane in 0..NR {
                let (scale, stored) = reference_i4(&group.map(|row| row[lane]));
                let at = NR * I4_GROUP / 2 + 2 * lane;
                assert_eq!(bytes[at..at + 2], scale.to_le_bytes(), "{isa:?} lane {lane}");
                for (k, want) in stored.iter().enumerate() {
                    let (at, shift) = nibble_position(lane, k);
                    assert_eq!(bytes[at] >> shift & 15, *want, "{isa:?} lane {lane} value {k}");
                }
            }
        }
    }

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
