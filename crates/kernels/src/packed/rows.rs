//! Rows of `x` in the order in which tiles read them: blocks of at most [`TILE_ROWS`] rows; in a block, for every step,
//! the 32 bits of each row. Whole-number kinds get a scale and the sums of their values beside.

use std::ops::Range;

use super::layout::bf16;
use super::quantise::{self, Beside, NEAR};
use super::{CHUNK, GROUP8, Kind, TILE_ROWS};
use crate::level::{level, per_level};
use crate::norm;
use crate::team;

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

impl Before<'_> {
    /// Panics unless weight and bias have `cols` values.
    fn check(self, cols: usize) {
        let fits = match self {
            Before::Keep => true,
            Before::LayerNorm { weight, bias, .. } => weight.len() == cols && bias.len() == cols,
            Before::RmsNorm { weight, .. } => weight.len() == cols,
        };
        assert!(fits, "size of the norm before a product");
    }
}

/// Sizes of packed rows, from which the places of everything follow.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    kind: Kind,
    t: usize,
    cols: usize,
    /// Rows of a block, and how many blocks, the first ones, have one more.
    low: usize,
    higher: usize,
}

impl Shape {
    fn new(kind: Kind, t: usize, cols: usize) -> Self {
        let blocks = t.div_ceil(TILE_ROWS).max(1);
        Shape { kind, t, cols, low: t / blocks, higher: t % blocks }
    }

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

    /// First row of a block: heights differ by one at most.
    pub(crate) fn first(self, block: usize) -> usize {
        block * self.low + block.min(self.higher)
    }

    /// The end of the block that row `end - 1` is in, at most `t`.
    pub(crate) fn end_of_block(self, end: usize) -> usize {
        let (end, high) = (end.min(self.t), self.higher * (self.low + 1));
        if end <= high { end.next_multiple_of(self.low + 1) } else { high + (end - high).next_multiple_of(self.low) }
    }

    pub(crate) fn height(self, block: usize) -> usize {
        self.low + usize::from(block < self.higher)
    }

    /// Where some steps of a block lie among all lanes, scales and offsets; the first step and the last are at the ends
    /// of chunks and spans.
    fn places(self, block: usize, steps: Range<usize>) -> [Range<usize>; 3] {
        let (first, m, (chunks, spans)) = (self.first(block), self.height(block), self.counts());
        let range = |all: usize, part: Range<usize>| first * all + part.start * m..first * all + part.end * m;
        let beside = |all: usize, unit: usize| {
            if all == 0 { 0..0 } else { range(all, 4 * steps.start / unit..(4 * steps.end).div_ceil(unit)) }
        };
        [range(self.steps(), steps.clone()), beside(chunks, CHUNK), beside(spans, self.kind.span())]
    }
}

/// All rows of one product.
pub(crate) struct Rows {
    pub(crate) shape: Shape,
    /// Block after block, `[steps, m]` each.
    lanes: Vec<u32>,
    /// Block after block, `[chunks, m]` each: scale of a row's values in a chunk; whole-number kinds only.
    scales: Vec<f32>,
    /// Block after block, `[spans, m]` each: what must be added to the sum of (stored weight times value) because
    /// stored weights lie above their values; whole-number kinds only.
    offsets: Vec<i32>,
}

/// What tiles read: a block, some steps of it, or, in f32 and bf16, several blocks of equal height.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    /// Its rows, `1..=TILE_ROWS`.
    pub(crate) m: usize,
    /// `[steps, m]`.
    pub(crate) lanes: &'a [u32],
    /// `[chunks, m]`, or empty.
    pub(crate) scales: &'a [f32],
    /// `[spans, m]`, or empty.
    pub(crate) offsets: &'a [i32],
}

/// Blocks that a thread packs in a row.
const PART: usize = 4;

/// Some columns of a block, to be written.
struct Part<'a> {
    lanes: &'a mut [u32],
    scales: &'a mut [f32],
    offsets: &'a mut [i32],
}

impl Rows {
    /// Room for `t` rows of `cols` values.
    pub(crate) fn room(kind: Kind, t: usize, cols: usize) -> Rows {
        let shape = Shape::new(kind, t, cols);
        let (chunks, spans) = shape.counts();
        Rows { shape, lanes: vec![0; t * shape.steps()], scales: vec![0.0; t * chunks], offsets: vec![0; t * spans] }
    }

    /// Packs `x` `[t, cols]` after `before`, on all threads when it is `large`.
    pub(crate) fn pack(kind: Kind, x: &[f32], t: usize, cols: usize, before: Before<'_>, large: bool) -> Rows {
        before.check(cols);
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
        let some = |part: usize| (part * PART..blocks.min((part + 1) * PART)).for_each(one);
        if large {
            team::for_each(blocks.div_ceil(PART), some)
        } else {
            (0..blocks).for_each(one)
        }
        rows
    }

    /// Packs `t` rows whose columns `read(column, values)` gives one after the other, `t` values each; f32 and bf16
    /// only.
    pub(crate) fn from_columns(kind: Kind, t: usize, cols: usize, mut read: impl FnMut(usize, &mut [f32])) -> Rows {
        assert!(!kind.whole(), "columns of whole numbers");
        let mut rows = Rows::room(kind, t, cols);
        let (shape, level) = (rows.shape, level());
        let blocks: Vec<(usize, usize)> = (0..shape.blocks()).map(|b| (shape.first(b), shape.height(b))).collect();
        let (mut x, mut y, mut words) = (vec![0.0; t], vec![0.0; t], vec![0; t]);
        for step in 0..shape.steps() {
            read(step * kind.per_step(), &mut x);
            if kind == Kind::F32 {
                words.iter_mut().zip(&x).for_each(|(word, value)| *word = value.to_bits());
            } else {
                if 2 * step + 1 < cols {
                    read(2 * step + 1, &mut y)
                } else {
                    y.fill(0.0)
                }
                side_by_side_at(level, &x, &y, &mut words);
            }
            for &(first, m) in &blocks {
                let lanes = &mut rows.lanes[first * shape.steps() + step * m..][..m];
                let words = &words[first..first + m];
                // Of a number that the compiler knows it makes two moves, else a call.
                match (lanes.as_mut_array::<TILE_ROWS>(), words.as_array()) {
                    (Some(lanes), Some(words)) => *lanes = *words,
                    _ => lanes.copy_from_slice(words),
                }
            }
        }
        rows
    }

    /// Some steps of a block, the first and the last at the ends of chunks and spans.
    pub(crate) fn block(&self, block: usize, steps: Range<usize>) -> Block<'_> {
        let [lanes, scales, offsets] = self.shape.places(block, steps);
        Block {
            m: self.shape.height(block),
            lanes: &self.lanes[lanes],
            scales: &self.scales[scales],
            offsets: &self.offsets[offsets],
        }
    }

    /// All blocks, those of equal height together, with their number; f32 and bf16 only.
    pub(crate) fn stacks(&self) -> impl Iterator<Item = (usize, Block<'_>)> {
        let (shape, steps) = (self.shape, self.shape.steps());
        let all = [(0..shape.higher, shape.low + 1), (shape.higher..shape.blocks(), shape.low)];
        all.into_iter().filter(|(blocks, _)| !blocks.is_empty()).map(move |(blocks, m)| {
            let lanes = &self.lanes[shape.first(blocks.start) * steps..shape.first(blocks.end) * steps];
            (blocks.len(), Block { m, lanes, scales: &[], offsets: &[] })
        })
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
    /// Packs `values`, the columns `columns` of all rows of `block`, row after row of any equal stride. The first
    /// column is a multiple of 128, and so is the end unless it is the end of all.
    ///
    /// # Safety
    /// The rows live, and no other call for the same block and an overlapping range of columns runs meanwhile.
    pub(crate) unsafe fn put(&self, block: usize, columns: Range<usize>, values: &[f32]) {
        let Shape { kind, cols, .. } = self.shape;
        assert!(block < self.shape.blocks() && columns.end <= cols, "place of packed rows");
        assert!(columns.start.is_multiple_of(GROUP8), "first column of packed rows");
        assert!(columns.end == cols || columns.end.is_multiple_of(GROUP8), "last column of packed rows");
        let (all, per_step) = (self.shape.steps(), kind.per_step());
        let end = if columns.end == cols { all } else { columns.end / per_step };
        let [lanes, scales, offsets] = self.shape.places(block, columns.start / per_step..end);
        // SAFETY: the ranges lie inside the block's own parts of the three arrays, because the columns lie inside the
        // row; as the caller promises, nobody else has them.
        let part = unsafe {
            Part {
                lanes: std::slice::from_raw_parts_mut(self.lanes.add(lanes.start), lanes.len()),
                scales: std::slice::from_raw_parts_mut(self.scales.add(scales.start), scales.len()),
                offsets: std::slice::from_raw_parts_mut(self.offsets.add(offsets.start), offsets.len()),
            }
        };
        part.write(kind, self.shape.height(block), values, columns.len());
    }
}

impl Part<'_> {
    /// `values`: `m` rows, of which the first `cols` values count.
    fn write(self, kind: Kind, m: usize, values: &[f32], cols: usize) {
        let (stride, level) = (values.len() / m, level());
        let units = |unit: usize| NEAR / unit * m;
        let mut scales = self.scales.chunks_mut(units(CHUNK));
        let mut offsets = self.offsets.chunks_mut(units(kind.span()));
        for (number, lanes) in self.lanes.chunks_mut(units(kind.per_step())).enumerate() {
            let columns = number * NEAR..cols.min((number + 1) * NEAR);
            let (scales, offsets) = (scales.next().unwrap_or_default(), offsets.next().unwrap_or_default());
            for r in 0..m {
                let row = &values[r * stride..][columns.clone()];
                match kind {
                    Kind::F32 => {
                        let lanes = lanes[r..].iter_mut().step_by(m);
                        lanes.zip(row).for_each(|(lane, value)| *lane = value.to_bits());
                    }
                    Kind::Bf16 => {
                        let mut words = [0; NEAR / 2];
                        round_at(level, row, &mut words);
                        deal(&words, r, m, lanes);
                    }
                    Kind::Int8 | Kind::Int4 => {
                        let mut padded;
                        let row = if row.len() == NEAR {
                            row
                        } else {
                            padded = [0.0; NEAR];
                            padded[..row.len()].copy_from_slice(row);
                            &padded
                        };
                        let (mut words, mut beside) = ([0; NEAR / 4], Beside::default());
                        quantise::quantise_at(level, row, kind, &mut words, &mut beside);
                        deal(&words, r, m, lanes);
                        scales[r..].iter_mut().step_by(m).zip(beside.scales).for_each(|(to, from)| *to = from);
                        offsets[r..].iter_mut().step_by(m).zip(beside.offsets).for_each(|(to, from)| *to = from);
                    }
                }
            }
        }
    }
}

/// Writes the words of row `r` of `m` to their places in `lanes` `[words, m]`, as many as there are.
fn deal(words: &[u32], r: usize, m: usize, lanes: &mut [u32]) {
    if m == TILE_ROWS {
        let steps = lanes.as_chunks_mut::<TILE_ROWS>().0;
        steps.iter_mut().zip(words).for_each(|(step, word)| step[r] = *word);
    } else {
        lanes[r..].iter_mut().step_by(m).zip(words).for_each(|(lane, word)| *lane = *word);
    }
}

per_level! {
    /// At most [`NEAR`] values `x` rounded to bf16, two in a word.
    fn round / round_at(x: &[f32], words: &mut [u32; NEAR / 2]) {
        let mut short = [0; NEAR];
        short.iter_mut().zip(x).for_each(|(short, value)| *short = bf16(*value));
        for (word, pair) in words.iter_mut().zip(short.as_chunks::<2>().0) {
            *word = u32::from(pair[0]) | u32::from(pair[1]) << 16;
        }
    }
}

per_level! {
    /// Two rows side by side: words of a value of each as bf16.
    fn side_by_side / side_by_side_at(x: &[f32], y: &[f32], words: &mut [u32]) {
        for ((word, x), y) in words.iter_mut().zip(x).zip(y) {
            *word = u32::from(bf16(*x)) | u32::from(bf16(*y)) << 16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_block_is_the_first_row_of_the_next() {
        for t in 1..60 {
            let shape = Shape::new(Kind::F32, t, 1);
            for end in 1..70 {
                let want = (0..=shape.blocks()).map(|block| shape.first(block)).find(|first| *first >= end);
                assert_eq!(shape.end_of_block(end), want.unwrap_or(t), "{end} of {t}");
            }
        }
    }
}
