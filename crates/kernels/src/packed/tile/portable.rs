//! The plain meaning of a tile, one row after the other.

use super::{CHUNK, GROUP, Kind, LANES, Tile};
use crate::packed::layout::{GROUP8_BYTES, from_bf16};
use crate::packed::{GROUP_BYTES, SCALES_BYTES, STEP_BYTES};

pub(super) fn add(kind: Kind, tile: &Tile<'_>, sums: &mut [f32]) {
    for (row, sums) in sums.chunks_mut(tile.stride).enumerate() {
        let sums = &mut sums[..LANES];
        if tile.fresh {
            sums.fill(0.0);
        }
        let lanes = tile.x.lanes[row..].iter().step_by(tile.x.m).copied();
        match kind {
            Kind::F32 => {
                for (x, w) in lanes.zip(tile.w.chunks_exact(STEP_BYTES)) {
                    let x = f32::from_bits(x);
                    for (sum, w) in sums.iter_mut().zip(w.chunks_exact(4)) {
                        *sum += x * f32::from_le_bytes([w[0], w[1], w[2], w[3]]);
                    }
                }
            }
            Kind::Bf16 => {
                for (x, w) in lanes.zip(tile.w.chunks_exact(STEP_BYTES)) {
                    let (x0, x1) = (from_bf16(x as u16), from_bf16((x >> 16) as u16));
                    for (sum, w) in sums.iter_mut().zip(w.chunks_exact(4)) {
                        let (w0, w1) = (u16::from_le_bytes([w[0], w[1]]), u16::from_le_bytes([w[2], w[3]]));
                        *sum += x0 * from_bf16(w0) + x1 * from_bf16(w1);
                    }
                }
            }
            Kind::Int8 => int8(tile, row, sums),
            Kind::Int4 => int4(tile, row, sums),
        }
    }
}

fn int8(tile: &Tile<'_>, row: usize, sums: &mut [f32]) {
    let mut lanes = tile.x.lanes[row..].iter().step_by(tile.x.m);
    let mut beside = tile.x.scales[row..].iter().zip(&tile.x.offsets[row..]).step_by(tile.x.m);
    for group in tile.w.chunks(GROUP8_BYTES) {
        let (steps, weight_scales) = group.split_at(group.len() - SCALES_BYTES);
        for steps in steps.chunks(span_bytes()) {
            let Some((scale, offset)) = beside.next() else { return };
            let mut whole = [*offset; LANES];
            for (w, x) in steps.chunks_exact(STEP_BYTES).zip(&mut lanes) {
                add_fours(&mut whole, *x, w, i32::from);
            }
            add_scaled(sums, &whole, weight_scales, *scale);
        }
    }
}

/// Bytes of the steps of an int8 panel that are added up as whole numbers.
fn span_bytes() -> usize {
    Kind::Int8.span() / 4 * STEP_BYTES
}

fn int4(tile: &Tile<'_>, row: usize, sums: &mut [f32]) {
    for (group, w) in tile.w.chunks_exact(GROUP_BYTES).enumerate() {
        let mut whole = [tile.x.offsets[group * tile.x.m + row]; LANES];
        let (nibbles, scales) = w.split_at(LANES * GROUP / 2);
        for (step, w) in nibbles.chunks_exact(STEP_BYTES).enumerate() {
            let x = |step: usize| tile.x.lanes[(group * GROUP / 4 + step) * tile.x.m + row];
            add_fours(&mut whole, x(step), w, |byte| i32::from(byte & 15));
            add_fours(&mut whole, x(step + 4), w, |byte| i32::from(byte >> 4));
        }
        add_scaled(sums, &whole, scales, tile.x.scales[group * GROUP / CHUNK * tile.x.m + row]);
    }
}

/// Adds whole numbers times the bf16 scale of their lane and that of their row.
fn add_scaled(sums: &mut [f32], whole: &[i32; LANES], weight_scales: &[u8], scale: f32) {
    for ((sum, whole), bits) in sums.iter_mut().zip(whole).zip(weight_scales.as_chunks::<2>().0) {
        *sum += *whole as f32 * (from_bf16(u16::from_le_bytes(*bits)) * scale);
    }
}

fn add_fours(whole: &mut [i32; LANES], x: u32, w: &[u8], weight: impl Fn(u8) -> i32) {
    let x = x.to_le_bytes().map(|byte| i32::from(byte as i8));
    for (whole, w) in whole.iter_mut().zip(w.chunks_exact(4)) {
        *whole += x[0] * weight(w[0]) + x[1] * weight(w[1]) + x[2] * weight(w[2]) + x[3] * weight(w[3]);
    }
}
