//! The vertical and the horizontal pass in i32 fixed point. Both use one kernel, [`convolve`]: a weighted sum of
//! equally long runs of bytes. In the vertical pass a run is a whole row. In the horizontal pass [`BLOCK`] rows are
//! transposed first, so that a run is one pixel of each of them. The last pass hands its rows on in bands: the whole
//! result lies in memory only if the caller keeps it.

use rayon::prelude::*;

use super::options::{Filter, Order, vertical_first};
use super::size::Size;
use super::weights::Table;
use crate::isa::{Isa, per_isa};

/// Rows transposed at a time.
const BLOCK: usize = 16;
/// Bytes of one pixel of every row of a block.
const RUN: usize = 3 * BLOCK;
/// Bytes of output below which a pass stays on one thread.
const MIN_PARALLEL_BYTES: usize = 1 << 14;

per_isa! {
    /// `dst[j] = clamp(round(sum_k weights[k] * src[k * stride + j] / 2^bits))`, halves up.
    fn convolve / convolve_at(src: &[u8], stride: usize, weights: &[i32], bits: u32, dst: &mut [u8]) {
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

/// The axis that a pass resizes.
#[derive(PartialEq)]
enum Axis {
    /// Every row becomes narrower or wider.
    Horizontal,
    /// Rows become fewer or more.
    Vertical,
}

/// One pass, from rows of `row` bytes to rows of `out_row` bytes.
struct Pass {
    isa: Isa,
    axis: Axis,
    table: Table,
    row: usize,
    out_row: usize,
}

/// A transposed block of rows, before and after a horizontal pass; empty for a vertical pass.
type TransposedBlock = (Vec<u8>, Vec<u8>);

impl Pass {
    fn transposed_block(&self) -> TransposedBlock {
        let bytes = |row: usize| vec![0; if self.axis == Axis::Horizontal { row * BLOCK } else { 0 }];
        (bytes(self.row), bytes(self.out_row))
    }

    /// Writes the rows of the result from `first` on to `rows`, as many as it holds.
    fn fill(&self, src: &[u8], first: usize, rows: &mut [u8], block: &mut TransposedBlock) {
        match self.axis {
            Axis::Horizontal => {
                let src = &src[first * self.row..][..rows.len() / self.out_row * self.row];
                let blocks = src.chunks(self.row * BLOCK).zip(rows.chunks_mut(self.out_row * BLOCK));
                blocks.for_each(|(rows, out_rows)| self.resize_block(rows, out_rows, block));
            }
            Axis::Vertical => {
                for (output, row) in rows.chunks_exact_mut(self.out_row).enumerate() {
                    let (first, weights) = self.table.window(first + output);
                    convolve_at(self.isa, &src[first * self.row..], self.row, weights, self.table.bits, row);
                }
            }
        }
    }

    /// The horizontal pass of at most [`BLOCK`] rows.
    fn resize_block(&self, rows: &[u8], out_rows: &mut [u8], (block, out_block): &mut TransposedBlock) {
        transpose(rows, self.row, block);
        for (output, run) in out_block.chunks_exact_mut(RUN).enumerate() {
            let (first, weights) = self.table.window(output);
            convolve_at(self.isa, &block[first * RUN..], RUN, weights, self.table.bits, run);
        }
        for (r, out) in out_rows.chunks_exact_mut(self.out_row).enumerate() {
            out.iter_mut().zip(out_block.as_chunks::<BLOCK>().0).for_each(|(byte, column)| *byte = column[r]);
        }
    }
}

/// Calls `each(buffers, number, band)` for the bands of `dst` of `len` values, on all threads of the pool.
fn over_bands<T: Send, B>(
    dst: &mut [T],
    len: usize,
    buffers: impl Fn() -> B + Sync + Send,
    each: impl Fn(&mut B, usize, &mut [T]) + Sync + Send,
) {
    if dst.len() < MIN_PARALLEL_BYTES {
        let mut buffers = buffers();
        dst.chunks_mut(len).enumerate().for_each(|(band, part)| each(&mut buffers, band, part));
    } else {
        let parts = dst.par_chunks_mut(len).enumerate();
        parts.for_each_init(buffers, |buffers, (band, part)| each(buffers, band, part));
    }
}

/// The two passes. The caller has checked sizes and buffers; `band` is not zero.
#[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
pub(super) fn resize<T: Send>(
    isa: Isa,
    src: &[u8],
    from: Size,
    dst: &mut [T],
    to: Size,
    (filter, order): (Filter, Order),
    band: usize,
    write: impl Fn(&[u8], &mut [T]) + Sync,
) {
    let vertical_goes_first = vertical_first(from, to, order);
    let (wide, narrow) = (3 * from.width, 3 * to.width);
    let pass = |axis, inputs, outputs, row, out_row| {
        let table = || Table::new(inputs, outputs, filter, order);
        (inputs != outputs).then(|| Pass { isa, axis, table: table(), row, out_row })
    };
    let middle_row = if vertical_goes_first { wide } else { narrow };
    let horizontal = pass(Axis::Horizontal, from.width, to.width, wide, narrow);
    let vertical = pass(Axis::Vertical, from.height, to.height, middle_row, middle_row);
    let (first, last) = match (horizontal, vertical) {
        (Some(horizontal), Some(vertical)) if vertical_goes_first => (Some((vertical, to.height)), Some(horizontal)),
        (Some(horizontal), Some(vertical)) => (Some((horizontal, from.height)), Some(vertical)),
        (horizontal, vertical) => (None, horizontal.or(vertical)),
    };
    let middle = first.map(|(pass, rows)| {
        let mut middle = vec![0; rows * pass.out_row];
        let each = |block: &mut TransposedBlock, at: usize, rows: &mut [u8]| pass.fill(src, at * BLOCK, rows, block);
        over_bands(&mut middle, BLOCK * pass.out_row, || pass.transposed_block(), each);
        middle
    });
    let src = middle.as_deref().unwrap_or(src);
    let band = band.min(to.height);
    let len = band * narrow;
    let Some(last) = last else {
        let each = |(): &mut (), at: usize, part: &mut [T]| write(&src[at * len..][..part.len()], part);
        return over_bands(dst, len, || (), each);
    };
    let buffers = || (vec![0; len], last.transposed_block());
    over_bands(dst, len, buffers, |(rows, block), at, part| {
        let rows = &mut rows[..part.len()];
        last.fill(src, at * band, rows, block);
        write(rows, part);
    });
}

/// Transposes at most [`BLOCK`] rows of `row` bytes to `row` columns of [`BLOCK`] bytes. In a short block the places of
/// missing rows keep their old content, which is never read.
fn transpose(rows: &[u8], row: usize, block: &mut [u8]) {
    let (columns, _) = block.as_chunks_mut::<BLOCK>();
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
