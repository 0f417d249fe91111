//! f32 weights to panels (see [`layout`](super::layout)) and back.

use super::layout::{
    GROUP_SCALES_BYTES, I4_BLOCK_BYTES, I4_BLOCK_COLS, I4_BLOCK_GROUPS, I4_FACTORS_BYTES, I4_GROUP, I4_GROUP_BYTES,
    I4_NIBBLES_BYTES, I8_GROUP, I8_GROUP_BYTES, I8_ZERO_POINT, NR, STEP_BYTES, nibble_position, scale_and_minimum,
};
use super::quantize::{quantize_block_i4, quantize_group_i8};
use super::weight_type::WeightType;
use crate::bf16::{bf16_to_f32, f32_to_bf16};

/// Packs `values` `[NR, cols]` to one panel.
pub(crate) fn pack_panel(weight_type: WeightType, values: &[f32], cols: usize, panel: &mut [u8]) {
    match weight_type {
        WeightType::F32 => transpose_into_panel(panel, |lane, step| {
            let row = &values[lane * cols..(lane + 1) * cols];
            row[step..].iter().map(|value| value.to_bits())
        }),
        WeightType::Bf16 => pack_bf16(values, cols, panel),
        WeightType::Int8 => pack_i8(values, cols, panel),
        WeightType::Int4 => pack_i4(values, cols, panel),
    }
}

fn pack_bf16(values: &[f32], cols: usize, panel: &mut [u8]) {
    let width = 2 * WeightType::Bf16.k_steps(cols);
    let mut rounded = vec![0; NR * width];
    for (row, rounded) in values.chunks_exact(cols).zip(rounded.chunks_exact_mut(width)) {
        for (rounded, value) in rounded.iter_mut().zip(row) {
            *rounded = f32_to_bf16(*value);
        }
    }
    transpose_into_panel(panel, |lane, step| {
        let row = rounded[lane * width..(lane + 1) * width].as_chunks().0;
        row[step..].iter().map(|[low, high]: &[u16; 2]| u32::from(*low) | u32::from(*high) << 16)
    });
}

/// Writes the 32-bit words of all lanes; `words(lane, step)` gives those of a lane from a k-step on. Works on some
/// k-steps at a time, few enough that the written part stays in the L1 cache.
fn transpose_into_panel<W: Iterator<Item = u32>>(panel: &mut [u8], words: impl Fn(usize, usize) -> W) {
    const STEPS: usize = 16;
    for (number, bytes) in panel.chunks_mut(STEPS * STEP_BYTES).enumerate() {
        for lane in 0..NR {
            for (bytes, word) in bytes.chunks_exact_mut(STEP_BYTES).zip(words(lane, number * STEPS)) {
                bytes[4 * lane..4 * lane + 4].copy_from_slice(&word.to_le_bytes());
            }
        }
    }
}

fn pack_i8(values: &[f32], cols: usize, panel: &mut [u8]) {
    let mut quantized = [0; I8_GROUP];
    for (group, bytes) in panel.chunks_mut(I8_GROUP_BYTES).enumerate() {
        let (steps, scales) = bytes.split_at_mut(bytes.len() - GROUP_SCALES_BYTES);
        steps.fill(I8_ZERO_POINT as u8);
        for (lane, (row, scale)) in values.chunks_exact(cols).zip(scales.chunks_exact_mut(2)).enumerate() {
            let values = &row[group * I8_GROUP..cols.min((group + 1) * I8_GROUP)];
            let mut bits = 0;
            quantize_group_i8(values, &mut bits, &mut quantized);
            scale.copy_from_slice(&bits.to_le_bytes());
            for (four, step) in quantized[..values.len()].chunks(4).zip(steps.chunks_exact_mut(STEP_BYTES)) {
                step[lane * 4..][..four.len()].copy_from_slice(four);
            }
        }
    }
}

fn pack_i4(values: &[f32], cols: usize, panel: &mut [u8]) {
    let mut transposed = vec![[[0.0; NR]; I4_GROUP]; I4_BLOCK_GROUPS];
    for (block, bytes) in panel.chunks_mut(I4_BLOCK_BYTES).enumerate() {
        let columns = block * I4_BLOCK_COLS..cols.min((block + 1) * I4_BLOCK_COLS);
        transposed.as_flattened_mut()[columns.len()..].fill([0.0; NR]);
        for (lane, row) in values.chunks_exact(cols).enumerate() {
            for (lanes, value) in transposed.as_flattened_mut().iter_mut().zip(&row[columns.clone()]) {
                lanes[lane] = *value;
            }
        }
        quantize_block_i4(&transposed[..columns.len().div_ceil(I4_GROUP)], bytes);
    }
}

/// The 256 values of a row that lie in one int4 super-block, as a file has them that quantized them before:
/// `scale_factor * scale * nibble - minimum_factor * minimum`, with a scale and a minimum for each 32 of them.
#[derive(Clone, Debug)]
pub struct SuperBlock {
    /// What the scales are multiples of.
    pub scale_factor: f32,
    /// What the minima are multiples of.
    pub minimum_factor: f32,
    /// Scale of each group.
    pub scales: [u8; I4_BLOCK_GROUPS],
    /// Minimum of each group.
    pub minima: [u8; I4_BLOCK_GROUPS],
    /// The values, `0..=15`, in the order of the columns.
    pub nibbles: [[u8; I4_GROUP]; I4_BLOCK_GROUPS],
}

/// Writes the super-blocks of one row to its lane of a panel that is all zeros. Nothing is rounded.
pub(crate) fn pack_row_i4(row: impl Iterator<Item = SuperBlock>, lane: usize, panel: &mut [u8]) {
    for (block, bytes) in row.zip(panel.chunks_exact_mut(I4_BLOCK_BYTES)) {
        let (factors, groups) = bytes.split_at_mut(I4_FACTORS_BYTES);
        for (number, factor) in [block.scale_factor, block.minimum_factor].into_iter().enumerate() {
            factors[4 * (number * NR + lane)..][..4].copy_from_slice(&factor.to_le_bytes());
        }
        let codes = block.scales.into_iter().zip(block.minima);
        for ((group, nibbles), (scale, minimum)) in
            groups.chunks_exact_mut(I4_GROUP_BYTES).zip(&block.nibbles).zip(codes)
        {
            for (k, nibble) in nibbles.iter().enumerate() {
                let (at, shift) = nibble_position(lane, k);
                group[at] |= (nibble & 15) << shift;
            }
            group[I4_NIBBLES_BYTES + lane] = scale;
            group[I4_NIBBLES_BYTES + NR + lane] = minimum;
        }
    }
}

/// Value `k` of a lane of a panel, as f32.
pub(super) fn unpack_value(weight_type: WeightType, panel: &[u8], lane: usize, k: usize) -> f32 {
    let at = |size: usize, per_step: usize| k / per_step * STEP_BYTES + lane * 4 + k % per_step * size;
    let u16_at = |at: usize| u16::from_le_bytes([panel[at], panel[at + 1]]);
    match weight_type {
        WeightType::F32 => f32::from_bits(u32::from(u16_at(at(4, 1))) | u32::from(u16_at(at(4, 1) + 2)) << 16),
        WeightType::Bf16 => bf16_to_f32(u16_at(at(2, 2))),
        WeightType::Int8 => {
            let group = panel.chunks(I8_GROUP_BYTES).nth(k / I8_GROUP).unwrap_or_default();
            let scale = group.len() - GROUP_SCALES_BYTES + 2 * lane;
            let byte = group[k % I8_GROUP / 4 * STEP_BYTES + lane * 4 + k % 4];
            (f32::from(byte) - I8_ZERO_POINT) * bf16_to_f32(u16::from_le_bytes([group[scale], group[scale + 1]]))
        }
        WeightType::Int4 => {
            let group = k / I4_GROUP;
            let (factors, groups) = panel[group / I4_BLOCK_GROUPS * I4_BLOCK_BYTES..].split_at(I4_FACTORS_BYTES);
            let group = &groups[group % I4_BLOCK_GROUPS * I4_GROUP_BYTES..];
            let (at, shift) = nibble_position(lane, k % I4_GROUP);
            let (scale, minimum) = scale_and_minimum(factors, group, lane);
            f32::from((group[at] >> shift) & 15) * scale - minimum
        }
    }
}
