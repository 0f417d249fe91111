//! Rows of `x` in the order in which tiles read them: blocks of at most [`TILE_ROWS`] rows; in a block, for every step,
//! the 32 bits of each row. Whole-number kinds get a scale and the sums of their values beside.

use std::ops::Range;

use rayon::prelude::*;

use super::layout::{MAGIC, bf16};
use super::{CHUNK, GROUP8, Kind, TILE_ROWS};
use crate::level::{Level, level, per_level};
use crate::norm;

/// What is done to the rows of `x` before a product.
#[derive(Clone, Copy, Debug)]
pub enum Before<'a> {
    /// Nothing.
    Keep,
    /// LayerNorm with weight and bias `[cols]`.
    LayerNorm {
        /// Factors.
        weight: &'a [f32],
        /// Added last.
        bias: &'a [f32],
        /// Added to the variance.
        eps: f32,
    },
    /// RMSNorm with weight `[cols]`.
    RmsNorm {
        /// Factors.
        weight: &'a [f32],
        /// Added to the mean square.
        eps: f32,
    },
}

/// Sizes of packed rows, from which the places of everything follow.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    kind: Kind,
    t: usize,
    cols: usize,
}

impl Shape {
    pub(crate) fn blocks(self) -> usize {
        self.t.div_ceil(TILE_ROWS)
    }

    pub(crate) fn steps(self) -> usize {
        self.kind.steps(self.cols)
    }

    /// Chunks and spans of a row.
    fn counts(self) -> (usize, usize) {
        let width = if self.kind.whole() { self.steps() * 4 } else { 0 };
        (width.div_ceil(CHUNK), width.div_ceil(self.kind.span()))
    }

    /// Bytes of a block of full height.
    pub(crate) fn block_bytes(self) -> usize {
        TILE_ROWS * self.steps() * 4
    }

    /// First row of a block: heights differ by one at most.
    pub(crate) fn first(self, block: usize) -> usize {
        self.t * block / self.blocks()
    }

    pub(crate) fn height(self, block: usize) -> usize {
        self.first(block + 1) - self.first(block)
    }
}

/// All rows of one product.
pub(crate) struct Rows {
    pub(crate) shape: Shape,
    /// Block after block, `[steps, m]` each.
    lanes: Vec<u32>,
    /// Block after block, `[chunks, m]` each: scale of a row's values in a chunk; whole-number kinds only.
    scales: Vec<f32>,
    /// Block after block, `[spans, m]` each: what must be added to the sum of (stored weight times value) because stored
    /// weights lie above their values; whole-number kinds only.
    offsets: Vec<i32>,
}

/// What a tile reads: one block.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    /// `[steps, m]`.
    pub(crate) lanes: &'a [u32],
    /// `[chunks, m]`, or empty.
    pub(crate) scales: &'a [f32],
    /// `[spans, m]`, or empty.
    pub(crate) offsets: &'a [i32],
}

/// Some columns of a block, to be written.
struct Part<'a> {
    lanes: &'a mut [u32],
    scales: &'a mut [f32],
    offsets: &'a mut [i32],
}

impl Rows {
    /// Room for `t` rows of `cols` values.
    pub(crate) fn room(kind: Kind, t: usize, cols: usize) -> Rows {
        let shape = Shape { kind, t, cols };
        let (chunks, spans) = shape.counts();
        Rows { shape, lanes: vec![0; t * shape.steps()], scales: vec![0.0; t * chunks], offsets: vec![0; t * spans] }
    }

    /// Packs `x` `[t, cols]` after `before`, on all threads when it is `large`.
    pub(crate) fn pack(kind: Kind, x: &[f32], t: usize, cols: usize, before: Before<'_>, large: bool) -> Rows {
        let mut rows = Rows::room(kind, t, cols);
        let (shape, out) = (rows.shape, rows.out());
        let one = |block: usize| {
            let x = &x[shape.first(block) * cols..shape.first(block + 1) * cols];
            // SAFETY: every block is written by one call.
            match before {
                Before::Keep => unsafe { out.put(block, 0..cols, x) },
                _ => unsafe { out.put(block, 0..cols, &normed(x, before)) },
            }
        };
        let blocks = shape.blocks();
        if large { (0..blocks).into_par_iter().with_min_len(4).for_each(one) } else { (0..blocks).for_each(one) }
        rows
    }

    pub(crate) fn block(&self, block: usize) -> Block<'_> {
        let (first, last) = (self.shape.first(block), self.shape.first(block + 1));
        let (steps, (chunks, spans)) = (self.shape.steps(), self.shape.counts());
        Block {
            lanes: &self.lanes[first * steps..last * steps],
            scales: &self.scales[first * chunks..last * chunks],
            offsets: &self.offsets[first * spans..last * spans],
        }
    }

    /// Where several jobs write the rows.
    pub(crate) fn out(&mut self) -> RowsOut {
        RowsOut {
            shape: self.shape,
            lanes: self.lanes.as_mut_ptr(),
            scales: self.scales.as_mut_ptr(),
            offsets: self.offsets.as_mut_ptr(),
        }
    }
}

/// `before` of rows of values.
fn normed(x: &[f32], before: Before<'_>) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    match before {
        Before::Keep => y.copy_from_slice(x),
        Before::LayerNorm { weight, bias, eps } => norm::layer_norm(x, weight, bias, eps, &mut y),
        Before::RmsNorm { weight, eps } => norm::rms_norm(x, weight, eps, &mut y),
    }
    y
}

/// The memory of [`Rows`]; jobs write disjoint parts of it.
#[derive(Clone, Copy)]
pub(crate) struct RowsOut {
    shape: Shape,
    lanes: *mut u32,
    scales: *mut f32,
    offsets: *mut i32,
}

// SAFETY: whoever calls `put` from several threads promises that no two calls share a block and a column.
unsafe impl Sync for RowsOut {}
// SAFETY: as above; the pointers themselves are only numbers.
unsafe impl Send for RowsOut {}

impl RowsOut {
    /// Packs `values`, the columns `columns` of all rows of `block`, row after row of any equal stride. The first column
    /// is a multiple of 128, the last one too unless it is the last of all.
    ///
    /// # Safety
    /// The rows live, and no other call for the same block and an overlapping range of columns runs meanwhile.
    pub(crate) unsafe fn put(&self, block: usize, columns: Range<usize>, values: &[f32]) {
        let Shape { kind, cols, .. } = self.shape;
        assert!(block < self.shape.blocks() && columns.end <= cols, "place of packed rows");
        assert!(columns.start.is_multiple_of(GROUP8), "first column of packed rows");
        assert!(columns.end == cols || columns.end.is_multiple_of(GROUP8), "last column of packed rows");
        let (first, m) = (self.shape.first(block), self.shape.height(block));
        let (steps, (chunks, spans)) = (self.shape.steps(), self.shape.counts());
        let end = if columns.end == cols { steps * kind.per_step() } else { columns.end };
        // Where units of so many columns lie, of which a row has `all`.
        let range = |unit: usize, all: usize| {
            let (from, to) = (columns.start / unit, end.div_ceil(unit));
            if all == 0 { 0..0 } else { first * all + from * m..first * all + to * m }
        };
        let (lanes, scales, offsets) = (range(kind.per_step(), steps), range(CHUNK, chunks), range(kind.span(), spans));
        // SAFETY: the ranges lie inside the block's own parts of the three arrays, because the columns lie inside the
        // row; as the caller promises, nobody else has them.
        let part = unsafe {
            Part {
                lanes: std::slice::from_raw_parts_mut(self.lanes.add(lanes.start), lanes.len()),
                scales: std::slice::from_raw_parts_mut(self.scales.add(scales.start), scales.len()),
                offsets: std::slice::from_raw_parts_mut(self.offsets.add(offsets.start), offsets.len()),
            }
        };
        part.write(kind, m, values, columns.len());
    }
}

impl Part<'_> {
    /// `values`: `m` rows, of which the first `cols` values count.
    fn write(self, kind: Kind, m: usize, values: &[f32], cols: usize) {
        let stride = values.len() / m;
        let row = |r: usize| &values[r * stride..r * stride + cols];
        let (level, steps) = (level(), self.lanes.len() / m);
        match kind {
            Kind::F32 => turn(self.lanes, m, |r, step| row(r)[step].to_bits()),
            Kind::Bf16 => {
                let mut short = vec![0; 2 * steps * m];
                for (r, short) in short.chunks_exact_mut(2 * steps).enumerate() {
                    round_at(level, row(r), short);
                }
                let word = |at: usize| u32::from(short[at]) | u32::from(short[at + 1]) << 16;
                turn(self.lanes, m, |r, step| word(2 * (r * steps + step)));
            }
            Kind::Int8 | Kind::Int4 => {
                let zero = if kind == Kind::Int8 { 128 } else { 8 };
                self.quantise(level, m, row, kind.span(), zero);
            }
        }
    }

    /// Whole numbers with a scale for each chunk of a row and an offset for each `span`.
    fn quantise<'v>(self, level: Level, m: usize, row: impl Fn(usize) -> &'v [f32], span: usize, zero: i32) {
        let width = self.lanes.len() / m * 4;
        let mut whole = vec![0; width * m];
        for (r, whole) in whole.chunks_exact_mut(width).enumerate() {
            let scales = self.scales[r..].iter_mut().step_by(m);
            for ((x, whole), scale) in row(r).chunks(CHUNK).zip(whole.chunks_mut(CHUNK)).zip(scales) {
                whole_numbers_at(level, x, whole, scale);
            }
            for (whole, offset) in whole.chunks(span).zip(self.offsets[r..].iter_mut().step_by(m)) {
                add_up_at(level, whole, offset);
                *offset *= -zero;
            }
        }
        let (whole, _) = whole.as_chunks::<4>();
        turn(self.lanes, m, |r, step| u32::from_le_bytes(whole[r * (width / 4) + step].map(|v: i8| v as u8)));
    }
}

per_level! {
    /// `x` as whole numbers of `scale`, the largest 127; `whole` may be longer than `x`, with zeros behind it.
    fn whole_numbers / whole_numbers_at(x: &[f32], whole: &mut [i8], scale: &mut f32) {
        // The sizes' bits as whole numbers are ordered like the sizes, and infinities and NaN stay the largest.
        let mut lanes = [0u32; 16];
        for chunk in x.chunks(16) {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane = value.abs().to_bits().max(*lane);
            }
        }
        let most = f32::from_bits(lanes.iter().fold(0, |a, b| a.max(*b)));
        *scale = most / 127.0;
        // Rows of nothing but values too small to divide by are zero.
        let inverse = if most > 1e-30 { 127.0 / most } else { 0.0 };
        for (whole, value) in whole.iter_mut().zip(x) {
            *whole = (value * inverse + MAGIC).to_bits() as i8;
        }
    }
}

per_level! {
    /// The sum of `whole`.
    fn add_up / add_up_at(whole: &[i8], sum: &mut i32) {
        *sum = whole.iter().map(|v| i32::from(*v)).sum();
    }
}

per_level! {
    /// `x` rounded to bf16; `short` may be longer, with zeros behind it.
    fn round / round_at(x: &[f32], short: &mut [u16]) {
        for (short, value) in short.iter_mut().zip(x) {
            *short = bf16(*value);
        }
    }
}

/// Steps that are turned at once: few enough that the words written stay in the first cache.
const TURN: usize = 32;

/// `lanes[step * m + row] = word(row, step)`.
fn turn(lanes: &mut [u32], m: usize, word: impl Fn(usize, usize) -> u32) {
    for (part, lanes) in lanes.chunks_mut(TURN * m).enumerate() {
        for row in 0..m {
            for (step, lane) in lanes[row..].iter_mut().step_by(m).enumerate() {
                *lane = word(row, part * TURN + step);
            }
        }
    }
}
