//! Micro-kernels in plain loops, one row of `x` after the other: the definition for all instruction sets.

use super::super::layout::{
    ACT_GROUP, GROUP_SCALES_BYTES, I4_BLOCK_BYTES, I4_BLOCK_GROUPS, I4_FACTORS_BYTES, I4_GROUP, I4_GROUP_BYTES,
    I4_NIBBLES_BYTES, I8_GROUP_BYTES, NR, STEP_BYTES, scale_and_minimum,
};
use super::super::weight_type::WeightType;
use super::args::MicroTile;
use crate::bf16::bf16_to_f32;

pub(super) fn accumulate(weight_type: WeightType, tile: &MicroTile<'_>, acc: &mut [f32]) {
    for (row, acc) in acc.chunks_mut(tile.acc_stride).enumerate() {
        let acc = &mut acc[..NR];
        if tile.zero_init {
            acc.fill(0.0);
        }
        let words = tile.x.words[row..].iter().step_by(tile.x.mr).copied();
        match weight_type {
            WeightType::F32 => {
                for (x, w) in words.zip(tile.w.chunks_exact(STEP_BYTES)) {
                    let x = f32::from_bits(x);
                    for (acc, w) in acc.iter_mut().zip(w.chunks_exact(4)) {
                        *acc += x * f32::from_le_bytes([w[0], w[1], w[2], w[3]]);
                    }
                }
            }
            WeightType::Bf16 => {
                for (x, w) in words.zip(tile.w.chunks_exact(STEP_BYTES)) {
                    let (x0, x1) = (bf16_to_f32(x as u16), bf16_to_f32((x >> 16) as u16));
                    for (acc, w) in acc.iter_mut().zip(w.chunks_exact(4)) {
                        let (w0, w1) = (u16::from_le_bytes([w[0], w[1]]), u16::from_le_bytes([w[2], w[3]]));
                        *acc += x0 * bf16_to_f32(w0) + x1 * bf16_to_f32(w1);
                    }
                }
            }
            WeightType::Int8 => int8(tile, row, acc),
            WeightType::Int4 => int4(tile, row, acc),
        }
    }
}

fn int8(tile: &MicroTile<'_>, row: usize, acc: &mut [f32]) {
    let mut words = tile.x.words[row..].iter().step_by(tile.x.mr);
    let mut meta = tile.x.scales[row..].iter().zip(&tile.x.offsets[row..]).step_by(tile.x.mr);
    for group in tile.w.chunks(I8_GROUP_BYTES) {
        let (steps, weight_scales) = group.split_at(group.len() - GROUP_SCALES_BYTES);
        for steps in steps.chunks(run_bytes()) {
            let Some((scale, offset)) = meta.next() else { return };
            let mut integers = [*offset; NR];
            for (w, x) in steps.chunks_exact(STEP_BYTES).zip(&mut words) {
                dot4(&mut integers, *x, w, i32::from);
            }
            add_scaled(acc, &integers, weight_scales, *scale);
        }
    }
}

/// Bytes of the k-steps of an int8 panel that are summed as integers.
fn run_bytes() -> usize {
    WeightType::Int8.accumulation_len() / 4 * STEP_BYTES
}

fn int4(tile: &MicroTile<'_>, row: usize, acc: &mut [f32]) {
    for (block, w) in tile.w.chunks(I4_BLOCK_BYTES).enumerate() {
        let (factors, groups) = w.split_at(I4_FACTORS_BYTES);
        for (number, w) in groups.chunks_exact(I4_GROUP_BYTES).enumerate() {
            let group = block * I4_BLOCK_GROUPS + number;
            let mut integers = [0; NR];
            for (step, w) in w[..I4_NIBBLES_BYTES].chunks_exact(STEP_BYTES).enumerate() {
                let x = |step: usize| tile.x.words[(group * I4_GROUP / 4 + step) * tile.x.mr + row];
                dot4(&mut integers, x(step), w, |byte| i32::from(byte & 15));
                dot4(&mut integers, x(step + 4), w, |byte| i32::from(byte >> 4));
            }
            let offset = tile.x.offsets[group * tile.x.mr + row] as f32;
            let row_scale = tile.x.scales[group * I4_GROUP / ACT_GROUP * tile.x.mr + row];
            for (lane, (acc, integer)) in acc.iter_mut().zip(integers).enumerate() {
                let (scale, minimum) = scale_and_minimum(factors, w, lane);
                *acc += (integer as f32 * scale - minimum * offset) * row_scale;
            }
        }
    }
}

/// Adds integer sums times the bf16 scale of their lane and the scale of their row.
fn add_scaled(acc: &mut [f32], integers: &[i32; NR], weight_scales: &[u8], scale: f32) {
    for ((acc, integer), bits) in acc.iter_mut().zip(integers).zip(weight_scales.as_chunks::<2>().0) {
        *acc += *integer as f32 * (bf16_to_f32(u16::from_le_bytes(*bits)) * scale);
    }
}

/// Adds to each lane the dot product of the four signed bytes of `x` with the lane's four weights.
fn dot4(integers: &mut [i32; NR], x: u32, w: &[u8], weight: impl Fn(u8) -> i32) {
    let x = x.to_le_bytes().map(|byte| i32::from(byte as i8));
    for (integer, w) in integers.iter_mut().zip(w.chunks_exact(4)) {
        *integer += x[0] * weight(w[0]) + x[1] * weight(w[1]) + x[2] * weight(w[2]) + x[3] * weight(w[3]);
    }
}
