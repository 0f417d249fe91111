//! Weights to packed bytes and back. One panel is [`LANES`] rows of `W`; its step `s` holds, for every lane, the
//! values of columns `per_step * s ..` in 32 bits. A 4-bit panel is a sequence of groups of 32 columns: bytes whose low
//! nibble belongs to step `s` and whose high nibble to step `s + 4` (`s < 4`), then a bf16 scale a lane. In an int8
//! panel a bf16 scale a lane follows the steps of each group of 128 columns (the last group may be shorter).

use std::ops::Range;

use super::{GROUP, GROUP_BYTES, GROUP8, Kind, LANES, Packed, SCALES_BYTES, STEP_BYTES};
use crate::level::per_level;

/// What int8 and 4-bit values are stored above, so that they are unsigned.
const ZERO8: f32 = 128.0;
const ZERO4: f32 = 8.0;

/// 1.5 * 2^23: added to a small number it rounds to the nearest whole one, ties to even, and leaves it in the low bits.
pub(crate) const MAGIC: f32 = 12_582_912.0;

/// The nearest bf16, ties to even, as its 16 bits.
#[inline(always)]
pub(crate) fn bf16(value: f32) -> u16 {
    // What is not a number stays so: rounding could carry its last bits away.
    if value.is_nan() { (value.to_bits() >> 16) as u16 | 0x40 } else { (rounded(value) >> 16) as u16 }
}

/// The bits of a number with the upper half rounded to bf16, ties to even; the lower half means nothing.
#[inline(always)]
pub(crate) fn rounded(value: f32) -> u32 {
    let bits = value.to_bits();
    bits.wrapping_add(0x7fff + ((bits >> 16) & 1))
}

/// The value of 16 bits of bf16.
#[inline(always)]
pub(crate) fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The largest size of some values: an infinity or NaN where there is one.
#[inline(always)]
pub(crate) fn largest(values: &[f32]) -> f32 {
    // The sizes' bits as whole numbers are ordered like the sizes, and infinities and NaN stay the largest.
    f32::from_bits(values.iter().fold(0, |most, value| value.abs().to_bits().max(most)))
}

/// What values of which the largest size is `most` are multiplied with to become whole numbers up to 127; nothing but
/// values too small to divide by become zero.
#[inline(always)]
pub(crate) fn steps_of(most: f32) -> f32 {
    if most > 1e-30 { 127.0 / most } else { 0.0 }
}

/// Packs `values` `[LANES, cols]` to one panel.
pub(crate) fn pack(kind: Kind, values: &[f32], cols: usize, bytes: &mut [u8]) {
    match kind {
        Kind::F32 => turn(bytes, |lane, step| {
            let row = &values[lane * cols..(lane + 1) * cols];
            row[step..].iter().map(|value| value.to_bits())
        }),
        Kind::Bf16 => {
            let width = 2 * kind.steps(cols);
            let mut short = vec![0; LANES * width];
            for (row, short) in values.chunks_exact(cols).zip(short.chunks_exact_mut(width)) {
                for (short, value) in short.iter_mut().zip(row) {
                    *short = bf16(*value);
                }
            }
            turn(bytes, |lane, step| {
                let row = short[lane * width..(lane + 1) * width].as_chunks().0;
                row[step..].iter().map(|[low, high]: &[u16; 2]| u32::from(*low) | u32::from(*high) << 16)
            });
        }
        Kind::Int8 => int8(values, cols, bytes),
        Kind::Int4 => {
            for (group, bytes) in bytes.chunks_exact_mut(GROUP_BYTES).enumerate() {
                let mut own = [[0.0; LANES]; GROUP];
                let columns = group * GROUP..cols.min((group + 1) * GROUP);
                for (lane, row) in values.chunks_exact(cols).enumerate() {
                    for (own, value) in own.iter_mut().zip(&row[columns.clone()]) {
                        own[lane] = *value;
                    }
                }
                group4(&own, bytes);
            }
        }
    }
}

/// The 32 bits of every lane of every step, of which `words` gives those of a lane from a step on; some steps at once,
/// few enough that what is written stays in the first cache.
fn turn<W: Iterator<Item = u32>>(bytes: &mut [u8], words: impl Fn(usize, usize) -> W) {
    const STEPS: usize = 16;
    for (part, bytes) in bytes.chunks_mut(STEPS * STEP_BYTES).enumerate() {
        for lane in 0..LANES {
            for (bytes, word) in bytes.chunks_exact_mut(STEP_BYTES).zip(words(lane, part * STEPS)) {
                bytes[4 * lane..4 * lane + 4].copy_from_slice(&word.to_le_bytes());
            }
        }
    }
}

/// Bytes of a whole group of an int8 panel: steps, then scales.
pub(crate) const GROUP8_BYTES: usize = GROUP8 / 4 * STEP_BYTES + SCALES_BYTES;

fn int8(values: &[f32], cols: usize, bytes: &mut [u8]) {
    let mut whole = [0; GROUP8];
    for (group, bytes) in bytes.chunks_mut(GROUP8_BYTES).enumerate() {
        let (steps, scales) = bytes.split_at_mut(bytes.len() - SCALES_BYTES);
        steps.fill(ZERO8 as u8);
        for (lane, (row, scale)) in values.chunks_exact(cols).zip(scales.chunks_exact_mut(2)).enumerate() {
            let own = &row[group * GROUP8..cols.min((group + 1) * GROUP8)];
            let mut bits = 0;
            fit8(own, &mut bits, &mut whole);
            scale.copy_from_slice(&bits.to_le_bytes());
            for (four, step) in whole[..own.len()].chunks(4).zip(steps.chunks_exact_mut(STEP_BYTES)) {
                step[lane * 4..][..four.len()].copy_from_slice(four);
            }
        }
    }
}

per_level! {
    /// The scale (as bf16) and the values of a group, 128 above what they mean.
    fn fit8 / fit8_at(own: &[f32], scale: &mut u16, whole: &mut [u8; GROUP8]) {
        let most = largest(own);
        // Rounded up, so that no value lies beyond 127.
        let up = (most / 127.0).to_bits().wrapping_add(0xffff) >> 16;
        *scale = if most.is_finite() { up as u16 } else { bf16(f32::NAN) };
        let inverse = if most > 1e-30 { 1.0 / from_bf16(*scale) } else { 0.0 };
        for (whole, value) in whole.iter_mut().zip(own) {
            *whole = (value * inverse + MAGIC).to_bits() as u8 ^ 0x80;
        }
    }
}

/// Byte and shift of value `k` of a group for `lane`.
fn nibble(lane: usize, k: usize) -> (usize, u32) {
    let (step, part) = (k / 4, k % 4);
    (step % 4 * STEP_BYTES + lane * 4 + part, 4 * (step as u32 / 4))
}

per_level! {
    /// One group `[columns, lanes]`: for each lane, of a few scales near `largest / 8` the one with the smallest
    /// squared error. Lanes lie side by side, so that no sum waits for the one before.
    fn group4 / group4_at(own: &[[f32; LANES]; GROUP], bytes: &mut [u8]) {
        // The value of largest size gets the end with eight steps.
        let mut peak = [0.0f32; LANES];
        for row in own {
            for (peak, value) in peak.iter_mut().zip(row) {
                *peak = if value.abs() > peak.abs() { *value } else { *peak };
            }
        }
        let (mut least, mut best, mut best_inverse) = ([f32::INFINITY; LANES], [0; LANES], [0.0; LANES]);
        for quarter in -2..=3 {
            let (mut bits, mut scale, mut inverse) = ([0; LANES], [0.0; LANES], [0.0; LANES]);
            for lane in 0..LANES {
                bits[lane] = bf16(peak[lane] / -(ZERO4 - 0.25 * quarter as f32));
                scale[lane] = from_bf16(bits[lane]);
                inverse[lane] = if scale[lane] == 0.0 { 0.0 } else { 1.0 / scale[lane] };
            }
            let mut error = [0.0; LANES];
            for row in own {
                for lane in 0..LANES {
                    let off = row[lane] - four(row[lane] * inverse[lane]) * scale[lane];
                    error[lane] += off * off;
                }
            }
            for lane in 0..LANES {
                let better = error[lane] < least[lane];
                least[lane] = if better { error[lane] } else { least[lane] };
                best[lane] = if better { bits[lane] } else { best[lane] };
                best_inverse[lane] = if better { inverse[lane] } else { best_inverse[lane] };
            }
        }
        // See `nibble` for the order.
        let (steps, scales) = bytes.split_at_mut(LANES * GROUP / 2);
        for (step, bytes) in steps.chunks_exact_mut(STEP_BYTES).enumerate() {
            let mut words = [0u32; LANES];
            for part in 0..4 {
                let (low, high) = (&own[4 * step + part], &own[4 * step + part + GROUP / 2]);
                for lane in 0..LANES {
                    let whole = |value: f32| (four(value * best_inverse[lane]) + ZERO4) as u8 as u32;
                    words[lane] |= (whole(low[lane]) | whole(high[lane]) << 4) << (8 * part);
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

/// The nearest of the 16 values, ties to even.
#[inline(always)]
fn four(value: f32) -> f32 {
    (value.clamp(-ZERO4, ZERO4 - 1.0) + MAGIC) - MAGIC
}

/// Rows `range` of `packed` as f32.
pub(crate) fn unpack(packed: &Packed, range: Range<usize>) -> Vec<f32> {
    let mut out = Vec::with_capacity(range.len() * packed.cols);
    for row in range {
        let (bytes, lane) = (packed.panel(row / LANES), row % LANES);
        out.extend((0..packed.cols).map(|k| value(packed.kind, bytes, lane, k)));
    }
    out
}

/// Value `k` of a lane.
fn value(kind: Kind, bytes: &[u8], lane: usize, k: usize) -> f32 {
    let at = |size: usize, per_step: usize| k / per_step * STEP_BYTES + lane * 4 + k % per_step * size;
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    match kind {
        Kind::F32 => f32::from_bits(u32::from(half(at(4, 1))) | u32::from(half(at(4, 1) + 2)) << 16),
        Kind::Bf16 => from_bf16(half(at(2, 2))),
        Kind::Int8 => {
            let group = bytes.chunks(GROUP8_BYTES).nth(k / GROUP8).unwrap_or_default();
            let scale = group.len() - SCALES_BYTES + 2 * lane;
            let byte = group[k % GROUP8 / 4 * STEP_BYTES + lane * 4 + k % 4];
            (f32::from(byte) - ZERO8) * from_bf16(u16::from_le_bytes([group[scale], group[scale + 1]]))
        }
        Kind::Int4 => {
            let bytes = &bytes[k / GROUP * GROUP_BYTES..];
            let (at, shift) = nibble(lane, k % GROUP);
            let scale = LANES * GROUP / 2 + 2 * lane;
            let whole = f32::from((bytes[at] >> shift) & 15) - ZERO4;
            whole * from_bf16(u16::from_le_bytes([bytes[scale], bytes[scale + 1]]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    /// What a lane of [`group4`] means, one value after the other.
    fn slow(own: &[f32]) -> (u16, Vec<u8>) {
        let peak = own.iter().fold(0.0f32, |peak, value| if value.abs() > peak.abs() { *value } else { peak });
        let mut best = (f32::INFINITY, 0, Vec::new());
        for quarter in -2..=3 {
            let bits = bf16(peak / -(8.0 - 0.25 * quarter as f32));
            let scale = from_bf16(bits);
            let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
            let near = |value: &f32| (value * inverse).clamp(-8.0, 7.0).round_ties_even();
            let error = own.iter().map(|value| (value - near(value) * scale).powi(2)).sum();
            if error < best.0 {
                best = (error, bits, own.iter().map(|value| (near(value) + 8.0) as u8).collect());
            }
        }
        (best.1, best.2)
    }

    #[test]
    fn a_group_is_the_same_at_every_level() {
        let mut own = [[0.0; LANES]; GROUP];
        for (at, value) in own.as_flattened_mut().iter_mut().enumerate() {
            // Lane 3 is zero.
            *value = if at % LANES == 3 { 0.0 } else { ((at * 37 % 101) as f32 * 0.73).sin() * (at % 7) as f32 };
        }
        for level in Level::available() {
            let mut bytes = vec![0xaa; GROUP_BYTES];
            group4_at(level, &own, &mut bytes);
            for lane in 0..LANES {
                let (scale, whole) = slow(&own.map(|row| row[lane]));
                let at = LANES * GROUP / 2 + 2 * lane;
                assert_eq!(bytes[at..at + 2], scale.to_le_bytes(), "{level:?} lane {lane}");
                for (k, want) in whole.iter().enumerate() {
                    let (at, shift) = nibble(lane, k);
                    assert_eq!(bytes[at] >> shift & 15, *want, "{level:?} lane {lane} value {k}");
                }
            }
        }
    }
}
