//! The two passes on i32 fixed point. Both are the same kernel, a weighted sum of equally long runs of bytes:
//! over columns a run is a whole row; over rows, [`BLOCK`] rows are turned on their side first, so that a run is one
//! pixel of each of them and neighbours in memory never mix.

use rayon::prelude::*;

use super::weights::Table;
use super::{Filter, Order, Size, vertical_first};
use crate::level::{Level, per_level};

/// Rows turned on their side at a time.
const BLOCK: usize = 16;
/// Bytes of one pixel of every row of a block.
const RUN: usize = 3 * BLOCK;
/// Below this many bytes of output a pass is not worth several threads.
const SMALL: usize = 1 << 14;

per_level! {
    /// `dst[j] = clamp(round(sum_k weights[k] * src[k * stride + j] / 2^bits))`, halves up.
    #[allow(unreachable_pub, dead_code, reason = "the macro writes `pub`; only the form at a level is used")]
    pub fn weigh / weigh_at(src: &[u8], stride: usize, weights: &[i32], bits: u32, dst: &mut [u8]) {
        let (runs, rest) = dst.as_chunks_mut::<RUN>();
        let tail = runs.len() * RUN;
        for (index, run) in runs.iter_mut().enumerate() {
            let mut sums = [(1i32 << bits) >> 1; RUN];
            let mut at = index * RUN;
            for &weight in weights {
                let bytes = &src[at..at + RUN];
                for (sum, &byte) in sums.iter_mut().zip(bytes) {
                    *sum = sum.wrapping_add(weight.wrapping_mul(i32::from(byte)));
                }
                at += stride;
            }
            for (out, sum) in run.iter_mut().zip(sums) {
                *out = (sum >> bits).clamp(0, 255) as u8;
            }
        }
        for (index, out) in rest.iter_mut().enumerate() {
            let mut sum = (1i32 << bits) >> 1;
            for (k, &weight) in weights.iter().enumerate() {
                sum = sum.wrapping_add(weight.wrapping_mul(i32::from(src[k * stride + tail + index])));
            }
            *out = (sum >> bits).clamp(0, 255) as u8;
        }
    }
}

/// Sizes and buffers were checked by the caller.
pub(super) fn resize(level: Level, src: &[u8], from: Size, dst: &mut [u8], to: Size, filter: Filter, order: Order) {
    let across = (from.width != to.width).then(|| Table::new(from.width, to.width, filter, order));
    let down = (from.height != to.height).then(|| Table::new(from.height, to.height, filter, order));
    match (across, down) {
        (None, None) => dst.copy_from_slice(src),
        (Some(across), None) => horizontal(level, src, from.width, dst, to.width, &across),
        (None, Some(down)) => vertical(level, src, from.width, dst, &down),
        (Some(across), Some(down)) if vertical_first(from, to, order) => {
            let mut middle = vec![0; 3 * from.width * to.height];
            vertical(level, src, from.width, &mut middle, &down);
            horizontal(level, &middle, from.width, dst, to.width, &across);
        }
        (Some(across), Some(down)) => {
            let mut middle = vec![0; 3 * to.width * from.height];
            horizontal(level, src, from.width, &mut middle, to.width, &across);
            vertical(level, &middle, to.width, dst, &down);
        }
    }
}

fn vertical(level: Level, src: &[u8], width: usize, dst: &mut [u8], table: &Table) {
    let stride = 3 * width;
    let one_row = |(output, row): (usize, &mut [u8])| {
        let (first, weights) = table.window(output);
        weigh_at(level, &src[first * stride..], stride, weights, table.bits, row);
    };
    if dst.len() < SMALL {
        dst.chunks_mut(stride).enumerate().for_each(one_row);
    } else {
        dst.par_chunks_mut(stride).enumerate().for_each(one_row);
    }
}

fn horizontal(level: Level, src: &[u8], width: usize, dst: &mut [u8], out_width: usize, table: &Table) {
    let (row, out_row) = (3 * width, 3 * out_width);
    let scratch = || (vec![0; RUN * width], vec![0; RUN * out_width]);
    let one_block = |(side, out_side): &mut (Vec<u8>, Vec<u8>), (rows, out_rows): (&[u8], &mut [u8])| {
        turn(rows, row, side);
        for (output, run) in out_side.chunks_exact_mut(RUN).enumerate() {
            let (first, weights) = table.window(output);
            weigh_at(level, &side[first * RUN..], RUN, weights, table.bits, run);
        }
        for (r, out) in out_rows.chunks_exact_mut(out_row).enumerate() {
            out.iter_mut().zip(out_side.as_chunks::<BLOCK>().0).for_each(|(byte, column)| *byte = column[r]);
        }
    };
    if dst.len() < SMALL {
        let mut buffers = scratch();
        let blocks = src.chunks(row * BLOCK).zip(dst.chunks_mut(out_row * BLOCK));
        blocks.for_each(|block| one_block(&mut buffers, block));
    } else {
        let blocks = src.par_chunks(row * BLOCK).zip(dst.par_chunks_mut(out_row * BLOCK));
        blocks.for_each_init(scratch, one_block);
    }
}

/// Up to [`BLOCK`] rows of `row` bytes to `row` columns of [`BLOCK`] bytes; columns of a short block keep what they had
/// in the places of the missing rows, which nobody reads.
fn turn(rows: &[u8], row: usize, side: &mut [u8]) {
    let (columns, _) = side.as_chunks_mut::<BLOCK>();
    if rows.len() == row * BLOCK {
        let lines: [&[u8]; BLOCK] = std::array::from_fn(|r| &rows[r * row..][..row]);
        for (j, column) in columns.iter_mut().enumerate() {
            *column = std::array::from_fn(|r| lines[r][j]);
        }
        return;
    }
    for (r, line) in rows.chunks_exact(row).enumerate() {
        columns.iter_mut().zip(line).for_each(|(column, &byte)| column[r] = byte);
    }
}
