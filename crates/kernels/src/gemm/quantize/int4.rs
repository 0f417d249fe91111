//! Rounding of f32 weights to int4: a scale and a minimum for each group, found by least squares.

use super::super::layout::{
    I4_FACTORS_BYTES, I4_GROUP, I4_GROUP_BYTES, I4_NIBBLES_BYTES, NR, STEP_BYTES, scale_and_minimum,
};
use super::int8::ROUNDING_MAGIC;
use crate::isa::{Isa, isa, per_isa};

/// The largest value that is stored.
const LARGEST: f32 = 15.0;
/// The largest code of a scale or a minimum.
const LARGEST_CODE: f32 = 255.0;
/// How many divisions of a group's range are tried.
const TRIES: usize = 21;

/// The values of one group of a panel, by column.
pub(crate) type PanelGroup = [[f32; NR]; I4_GROUP];

/// Quantizes the groups of a super-block to `bytes` in the panel's format; there are at most
/// [`I4_BLOCK_GROUPS`](super::super::layout::I4_BLOCK_GROUPS).
pub(in crate::gemm) fn quantize_block_i4(groups: &[PanelGroup], bytes: &mut [u8]) {
    quantize_block_i4_at(isa(), groups, bytes);
}

fn quantize_block_i4_at(isa: Isa, groups: &[PanelGroup], bytes: &mut [u8]) {
    let mut fits = vec![GroupFit { scales: [0.0; NR], minima: [0.0; NR] }; groups.len()];
    groups.iter().zip(&mut fits).for_each(|(group, fit)| fit_group_at(isa, group, fit));
    let (factors, packed) = bytes.split_at_mut(I4_FACTORS_BYTES);
    for lane in 0..NR {
        write_codes(fits.iter().map(|fit| fit.scales[lane]), lane, factors, packed);
        write_codes(fits.iter().map(|fit| fit.minima[lane]), NR + lane, factors, packed);
    }
    for ((group, fit), bytes) in groups.iter().zip(&mut fits).zip(packed.chunks_exact_mut(I4_GROUP_BYTES)) {
        // Values are rounded to the scales and minima that are stored.
        for lane in 0..NR {
            (fit.scales[lane], fit.minima[lane]) = scale_and_minimum(factors, bytes, lane);
        }
        pack_nibbles_at(isa, group, fit, &mut bytes[..I4_NIBBLES_BYTES]);
    }
}

/// Scale and minimum of each lane of a group: a value is about `scale * integer - minimum`, neither is negative.
#[derive(Clone)]
pub(crate) struct GroupFit {
    scales: [f32; NR],
    minima: [f32; NR],
}

/// Writes the numbers of one lane of all groups as a factor and a code each, at place `number` of both.
fn write_codes(values: impl Iterator<Item = f32> + Clone, number: usize, factors: &mut [u8], groups: &mut [u8]) {
    // NaN stays in the factor.
    let largest = values.clone().fold(0.0f32, |max, value| if value > max || value.is_nan() { value } else { max });
    let factor = largest / LARGEST_CODE;
    factors[4 * number..4 * number + 4].copy_from_slice(&factor.to_le_bytes());
    for (value, group) in values.zip(groups.chunks_exact_mut(I4_GROUP_BYTES)) {
        let code = if factor > 0.0 { (value / factor).round_ties_even() } else { LARGEST_CODE };
        group[I4_NIBBLES_BYTES + number] = code as u8;
    }
}

per_isa! {
    /// Finds the scale and the minimum of each lane with the smallest squared error. For each of some divisions of the
    /// range of a lane its values are rounded, and the line through the rounded ones is that of least squares.
    fn fit_group / fit_group_at(group: &PanelGroup, fit: &mut GroupFit) {
        let (mut low, mut high, mut sum_x, mut sum_xx) = ([0.0f32; NR], [0.0f32; NR], [0.0; NR], [0.0; NR]);
        high.copy_from_slice(&group[0]);
        for row in group {
            for lane in 0..NR {
                low[lane] = if row[lane] < low[lane] { row[lane] } else { low[lane] };
                high[lane] = if row[lane] > high[lane] { row[lane] } else { high[lane] };
                sum_x[lane] += row[lane];
                sum_xx[lane] += row[lane] * row[lane];
            }
        }
        let mut least = [f32::INFINITY; NR];
        for number in 0..TRIES {
            let steps = LARGEST - 1.0 + 0.1 * number as f32;
            let mut inverse = [0.0; NR];
            for lane in 0..NR {
                inverse[lane] = if high[lane] > low[lane] { steps / (high[lane] - low[lane]) } else { 0.0 };
            }
            let (mut sum_l, mut sum_ll, mut sum_lx) = ([0.0; NR], [0.0; NR], [0.0; NR]);
            for row in group {
                for lane in 0..NR {
                    let l = round_i4((row[lane] - low[lane]) * inverse[lane]);
                    sum_l[lane] += l;
                    sum_ll[lane] += l * l;
                    sum_lx[lane] += l * row[lane];
                }
            }
            for lane in 0..NR {
                let (n, l, ll, x, lx) = (I4_GROUP as f32, sum_l[lane], sum_ll[lane], sum_x[lane], sum_lx[lane]);
                let determinant = n * ll - l * l;
                let least_squares = match determinant > 0.0 {
                    true => ((n * lx - l * x) / determinant, (l * lx - ll * x) / determinant),
                    false => (0.0, -low[lane]),
                };
                let through_zero = (if ll > 0.0 { lx / ll } else { 0.0 }, 0.0);
                let (scale, minimum) = if least_squares.1 > 0.0 { least_squares } else { through_zero };
                // The squared error, as sums of squares and products.
                let error = sum_xx[lane] + scale * (scale * ll - 2.0 * lx - 2.0 * minimum * l)
                    + minimum * (n * minimum + 2.0 * x);
                let better = number == 0 || error < least[lane];
                least[lane] = if better { error } else { least[lane] };
                fit.scales[lane] = if better { scale } else { fit.scales[lane] };
                fit.minima[lane] = if better { minimum } else { fit.minima[lane] };
            }
        }
        for (scale, sum_x) in fit.scales.iter_mut().zip(sum_x) {
            // Weights that are no numbers give results that are none.
            *scale = if sum_x.is_finite() { scale.max(0.0) } else { f32::NAN };
        }
    }
}

per_isa! {
    /// Writes the nearest stored values of a group, in the order of
    /// [`nibble_position`](super::super::layout::nibble_position).
    fn pack_nibbles / pack_nibbles_at(group: &PanelGroup, fit: &GroupFit, bytes: &mut [u8]) {
        let inverse = fit.scales.map(|scale| if scale > 0.0 { 1.0 / scale } else { 0.0 });
        for (step, bytes) in bytes.chunks_exact_mut(STEP_BYTES).enumerate() {
            let mut words = [0u32; NR];
            for byte in 0..4 {
                let (near, far) = (&group[4 * step + byte], &group[4 * step + byte + I4_GROUP / 2]);
                for lane in 0..NR {
                    let nibble = |x: f32| round_i4((x + fit.minima[lane]) * inverse[lane]) as u8 as u32;
                    words[lane] |= (nibble(near[lane]) | nibble(far[lane]) << 4) << (8 * byte);
                }
            }
            for (word, bytes) in words.iter().zip(bytes.chunks_exact_mut(4)) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        }
    }
}

/// The nearest integer that can be stored, ties to even.
#[inline(always)]
fn round_i4(value: f32) -> f32 {
    (value.clamp(0.0, LARGEST) + ROUNDING_MAGIC) - ROUNDING_MAGIC
}

#[cfg(test)]
mod tests {
    use super::super::super::layout::{I4_BLOCK_BYTES, I4_BLOCK_GROUPS, nibble_position};
    use super::*;

    /// Values of a lane of a super-block as they are stored.
    fn unpacked(bytes: &[u8], lane: usize) -> Vec<f32> {
        let (factors, groups) = bytes.split_at(I4_FACTORS_BYTES);
        let of_group = |group: &[u8]| -> Vec<f32> {
            let (scale, minimum) = scale_and_minimum(factors, group, lane);
            let stored = (0..I4_GROUP).map(|k| nibble_position(lane, k)).map(|(at, shift)| group[at] >> shift & 15);
            stored.map(|stored| f32::from(stored) * scale - minimum).collect()
        };
        groups.chunks_exact(I4_GROUP_BYTES).flat_map(of_group).collect()
    }

    /// Groups whose lanes are of different kinds: both signs, positive, negative, small beside one large value, zero.
    fn groups() -> Vec<PanelGroup> {
        let mut groups = vec![[[0.0; NR]; I4_GROUP]; I4_BLOCK_GROUPS];
        for (at, value) in groups.as_flattened_mut().as_flattened_mut().iter_mut().enumerate() {
            let (lane, wave) = (at % NR, ((at * 37 % 1009) as f32 * 0.73).sin() * (1 + at % 7) as f32);
            *value = match lane % 5 {
                0 => wave,
                1 => wave.abs() + 0.5,
                2 => -wave.abs() - 0.5,
                3 if at % 11 == 0 => 40.0 * wave,
                3 => 0.1 * wave,
                _ => 0.0,
            };
        }
        groups
    }

    fn packed(isa: Isa, groups: &[PanelGroup]) -> Vec<u8> {
        let mut bytes = vec![0xaa; I4_BLOCK_BYTES - (I4_BLOCK_GROUPS - groups.len()) * I4_GROUP_BYTES];
        quantize_block_i4_at(isa, groups, &mut bytes);
        bytes
    }

    /// The smallest squared error of any of the divisions, in f64 and without codes.
    fn least_error(x: &[f64]) -> f64 {
        let (low, high) = x.iter().fold((0.0f64, f64::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
        let one = |number: usize| {
            let inverse = if high > low { (14.0 + 0.1 * number as f64) / (high - low) } else { 0.0 };
            let l: Vec<f64> = x.iter().map(|x| ((x - low) * inverse).clamp(0.0, 15.0).round_ties_even()).collect();
            let sum = |f: &dyn Fn(f64, f64) -> f64| l.iter().zip(x).map(|(l, x)| f(*l, *x)).sum::<f64>();
            let (n, sl, sll) = (x.len() as f64, sum(&|l, _| l), sum(&|l, _| l * l));
            let (sx, slx, determinant) = (sum(&|_, x| x), sum(&|l, x| l * x), n * sll - sl * sl);
            let (mut scale, mut offset) = (0.0, low);
            if determinant > 0.0 {
                (scale, offset) = ((n * slx - sl * sx) / determinant, (sll * sx - sl * slx) / determinant);
            }
            if offset > 0.0 {
                (scale, offset) = (slx / sll.max(1e-30), 0.0);
            }
            sum(&|l, x| (scale * l + offset - x).powi(2))
        };
        (0..TRIES).map(one).fold(f64::MAX, f64::min)
    }

    #[test]
    fn every_isa_packs_the_same_bytes() {
        let groups = groups();
        for count in [1, 3, I4_BLOCK_GROUPS] {
            let want = packed(Isa::Portable, &groups[..count]);
            for isa in Isa::available() {
                assert!(packed(isa, &groups[..count]) == want, "{isa:?} {count}");
            }
        }
    }

    /// Codes add at most half a step of the factors to the error of the best line.
    #[test]
    fn the_error_is_that_of_the_best_line_and_of_the_codes() {
        let groups = groups();
        let bytes = packed(isa(), &groups);
        let (factors, _) = bytes.split_at(I4_FACTORS_BYTES);
        for lane in 0..NR {
            let factor = |number: usize| {
                let at = 4 * (number * NR + lane);
                f64::from(f32::from_le_bytes(factors[at..at + 4].try_into().unwrap()))
            };
            let codes = 0.5 * (15.0 * factor(0) + factor(1));
            for (group, back) in groups.iter().zip(unpacked(&bytes, lane).chunks(I4_GROUP)) {
                let x: Vec<f64> = group.iter().map(|row| f64::from(row[lane])).collect();
                let error = x.iter().zip(back).map(|(x, back)| (x - f64::from(*back)).powi(2)).sum::<f64>();
                let most = (least_error(&x).sqrt() + codes * (I4_GROUP as f64).sqrt()) * (1.0 + 1e-4);
                assert!(error.sqrt() <= most, "lane {lane}: {} is more than {most}", error.sqrt());
            }
        }
    }

    #[test]
    fn weights_that_are_no_numbers_stay_so() {
        let mut groups = groups();
        (groups[1][5][3], groups[2][7][8]) = (f32::NAN, f32::INFINITY);
        let bytes = packed(isa(), &groups);
        for lane in 0..NR {
            assert_eq!(unpacked(&bytes, lane).iter().any(|x| x.is_nan()), [3, 8].contains(&lane), "lane {lane}");
        }
    }
}
