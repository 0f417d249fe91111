//! The two passes on i32 fixed point. Both are the same kernel, a weighted sum of equally long runs of bytes:
//! over columns a run is a whole row; over rows, [`BLOCK`] rows are turned on their side first, so that a run is one
//! pixel of each of them and neighbours in memory never mix. The last pass hands its rows on in bands, so that the
//! whole result lies in memory only where somebody keeps it.

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

/// Which way a pass goes.
#[derive(PartialEq)]
enum Axis {
    /// Every row becomes narrower or wider.
    Across,
    /// Rows become fewer or more.
    Down,
}

/// One pass, from rows of `row` bytes to rows of `out_row` bytes.
struct Pass {
    level: Level,
    axis: Axis,
    table: Table,
    row: usize,
    out_row: usize,
}

/// A block of rows on its side, before and after a pass across; empty for a pass down.
type Side = (Vec<u8>, Vec<u8>);

impl Pass {
    fn side(&self) -> Side {
        let bytes = |row: usize| vec![0; if self.axis == Axis::Across { row * BLOCK } else { 0 }];
        (bytes(self.row), bytes(self.out_row))
    }

    /// Writes the rows of the result from `first` on to `rows`, as many as it holds.
    fn fill(&self, src: &[u8], first: usize, rows: &mut [u8], side: &mut Side) {
        match self.axis {
            Axis::Across => {
                let src = &src[first * self.row..][..rows.len() / self.out_row * self.row];
                let blocks = src.chunks(self.row * BLOCK).zip(rows.chunks_mut(self.out_row * BLOCK));
                blocks.for_each(|(rows, out_rows)| self.block(rows, out_rows, side));
            }
            Axis::Down => {
                for (output, row) in rows.chunks_exact_mut(self.out_row).enumerate() {
                    let (first, weights) = self.table.window(first + output);
                    weigh_at(self.level, &src[first * self.row..], self.row, weights, self.table.bits, row);
                }
            }
        }
    }

    /// Up to [`BLOCK`] rows across.
    fn block(&self, rows: &[u8], out_rows: &mut [u8], (side, out_side): &mut Side) {
        turn(rows, self.row, side);
        for (output, run) in out_side.chunks_exact_mut(RUN).enumerate() {
            let (first, weights) = self.table.window(output);
            weigh_at(self.level, &side[first * RUN..], RUN, weights, self.table.bits, run);
        }
        for (r, out) in out_rows.chunks_exact_mut(self.out_row).enumerate() {
            out.iter_mut().zip(out_side.as_chunks::<BLOCK>().0).for_each(|(byte, column)| *byte = column[r]);
        }
    }
}

/// Calls `each(buffers, band, part)` for the parts of `dst` of `len` values, over the threads of the pool.
fn over_bands<T: Send, B>(
    dst: &mut [T],
    len: usize,
    buffers: impl Fn() -> B + Sync + Send,
    each: impl Fn(&mut B, usize, &mut [T]) + Sync + Send,
) {
    if dst.len() < SMALL {
        let mut buffers = buffers();
        dst.chunks_mut(len).enumerate().for_each(|(band, part)| each(&mut buffers, band, part));
    } else {
        let parts = dst.par_chunks_mut(len).enumerate();
        parts.for_each_init(buffers, |buffers, (band, part)| each(buffers, band, part));
    }
}

/// Sizes and buffers were checked by the caller; `band` is not zero.
#[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
pub(super) fn resize<T: Send>(
    level: Level,
    src: &[u8],
    from: Size,
    dst: &mut [T],
    to: Size,
    (filter, order): (Filter, Order),
    band: usize,
    write: impl Fn(&[u8], &mut [T]) + Sync,
) {
    let columns_first = vertical_first(from, to, order);
    let (wide, narrow) = (3 * from.width, 3 * to.width);
    let pass = |axis, inputs, outputs, row, out_row| {
        let table = || Table::new(inputs, outputs, filter, order);
        (inputs != outputs).then(|| Pass { level, axis, table: table(), row, out_row })
    };
    let middle_row = if columns_first { wide } else { narrow };
    let across = pass(Axis::Across, from.width, to.width, wide, narrow);
    let down = pass(Axis::Down, from.height, to.height, middle_row, middle_row);
    let (first, last) = match (across, down) {
        (Some(across), Some(down)) if columns_first => (Some((down, to.height)), Some(across)),
        (Some(across), Some(down)) => (Some((across, from.height)), Some(down)),
        (across, down) => (None, across.or(down)),
    };
    let middle = first.map(|(pass, rows)| {
        let mut middle = vec![0; rows * pass.out_row];
        let each = |side: &mut Side, block: usize, rows: &mut [u8]| pass.fill(src, block * BLOCK, rows, side);
        over_bands(&mut middle, BLOCK * pass.out_row, || pass.side(), each);
        middle
    });
    let src = middle.as_deref().unwrap_or(src);
    let band = band.min(to.height);
    let len = band * narrow;
    let Some(last) = last else {
        let each = |(): &mut (), at: usize, part: &mut [T]| write(&src[at * len..][..part.len()], part);
        return over_bands(dst, len, || (), each);
    };
    let buffers = || (vec![0; len], last.side());
    over_bands(dst, len, buffers, |(rows, side), at, part| {
        let rows = &mut rows[..part.len()];
        last.fill(src, at * band, rows, side);
        write(rows, part);
    });
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
