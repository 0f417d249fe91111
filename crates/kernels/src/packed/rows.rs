//! Rows of `x` in the order in which tiles read them: blocks of at most [`TILE_ROWS`] rows; in a block, for every step,
//! the 32 bits of each row. Whole-number kinds get a scale and the sums of their values beside.

use std::ops::Range;

use rayon::prelude::*;

use super::layout::bf16;
use super::{GROUP, Kind, TILE_ROWS};
use crate::level::per_level;

/// All rows of one product.
pub(crate) struct Rows {
    kind: Kind,
    t: usize,
    steps: usize,
    blocks: Vec<Block>,
}

#[derive(Default)]
struct Block {
    /// `[steps, m]`.
    lanes: Vec<u32>,
    /// `[chunks, m]`: scale of a row's values in a chunk; whole-number kinds only.
    scales: Vec<f32>,
    /// `[chunks or groups, m]`: what must be added to the sum of (stored weight times value) because stored weights
    /// lie above their values; whole-number kinds only.
    offsets: Vec<i32>,
}

/// What a tile reads of a block: one chunk.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'a> {
    /// `[steps, m]`.
    pub(crate) lanes: &'a [u32],
    /// `[m]`, or empty.
    pub(crate) scales: &'a [f32],
    /// `[1 or groups, m]`, or empty.
    pub(crate) offsets: &'a [i32],
}

impl Rows {
    /// Packs `x` `[t, cols]`, on all threads when it is `large`.
    pub(crate) fn pack(kind: Kind, x: &[f32], t: usize, cols: usize, large: bool) -> Rows {
        let steps = kind.steps(cols);
        let number = t.div_ceil(TILE_ROWS);
        let rows = Rows { kind, t, steps, blocks: Vec::new() };
        let one = |block: usize| {
            let first = Rows::start(t, number, block);
            let m = Rows::start(t, number, block + 1) - first;
            Block::pack(kind, &x[first * cols..(first + m) * cols], cols, steps)
        };
        let blocks =
            if large { (0..number).into_par_iter().map(one).collect() } else { (0..number).map(one).collect() };
        Rows { blocks, ..rows }
    }

    /// First row of a block: heights differ by one at most.
    fn start(t: usize, blocks: usize, block: usize) -> usize {
        t * block / blocks
    }

    pub(crate) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// Bytes of a block of full height.
    pub(crate) fn block_bytes(&self) -> usize {
        TILE_ROWS * self.steps * 4
    }

    pub(crate) fn first(&self, block: usize) -> usize {
        Rows::start(self.t, self.blocks.len(), block)
    }

    pub(crate) fn height(&self, block: usize) -> usize {
        self.first(block + 1) - self.first(block)
    }

    /// Steps `steps`, which are chunk `number`, of a block.
    pub(crate) fn chunk(&self, block: usize, steps: Range<usize>, number: usize) -> Chunk<'_> {
        let m = self.height(block);
        let block = &self.blocks[block];
        let (scales, offsets) = match self.kind {
            Kind::F32 | Kind::Bf16 => (0..0, 0..0),
            Kind::Int8 => (number * m..(number + 1) * m, number * m..(number + 1) * m),
            Kind::Int4 => (number * m..(number + 1) * m, steps.start * 4 / GROUP * m..steps.end * 4 / GROUP * m),
        };
        let lanes = &block.lanes[steps.start * m..steps.end * m];
        Chunk { lanes, scales: &block.scales[scales], offsets: &block.offsets[offsets] }
    }
}

impl Block {
    fn pack(kind: Kind, x: &[f32], cols: usize, steps: usize) -> Block {
        let m = x.len() / cols;
        let mut block = Block { lanes: vec![0; steps * m], ..Block::default() };
        match kind {
            Kind::F32 => turn(&mut block.lanes, m, |row, step| x[row * cols + step].to_bits()),
            Kind::Bf16 => {
                let mut short = vec![0; 2 * steps * m];
                for (x, short) in x.chunks_exact(cols).zip(short.chunks_exact_mut(2 * steps)) {
                    round(x, short);
                }
                let word = |at: usize| u32::from(short[at]) | u32::from(short[at + 1]) << 16;
                turn(&mut block.lanes, m, |row, step| word(2 * (row * steps + step)));
            }
            Kind::Int8 => block.quantise(x, cols, kind.chunk(), kind.chunk(), 128),
            Kind::Int4 => block.quantise(x, cols, kind.chunk(), GROUP, 8),
        }
        block
    }

    /// Whole numbers with a scale for each `chunk` of a row and an offset for each `span`.
    fn quantise(&mut self, x: &[f32], cols: usize, chunk: usize, span: usize, zero: i32) {
        let m = x.len() / cols;
        let width = self.lanes.len() / m * 4;
        self.scales = vec![0.0; cols.div_ceil(chunk) * m];
        self.offsets = vec![0; width.div_ceil(span) * m];
        let mut whole = vec![0; width * m];
        for (row, (x, whole)) in x.chunks_exact(cols).zip(whole.chunks_exact_mut(width)).enumerate() {
            for (number, (x, whole)) in x.chunks(chunk).zip(whole.chunks_mut(chunk)).enumerate() {
                whole_numbers(x, whole, &mut self.scales[number * m + row]);
            }
            for (number, whole) in whole.chunks(span).enumerate() {
                let mut sum = 0;
                add_up(whole, &mut sum);
                self.offsets[number * m + row] = -zero * sum;
            }
        }
        let four = |at: usize| [whole[at] as u8, whole[at + 1] as u8, whole[at + 2] as u8, whole[at + 3] as u8];
        turn(&mut self.lanes, m, |row, step| u32::from_le_bytes(four(row * width + 4 * step)));
    }
}

per_level! {
    /// `x` as whole numbers of `scale`, the largest 127; `whole` may be longer than `x`, with zeros behind it.
    pub(crate) fn whole_numbers / whole_numbers_at(x: &[f32], whole: &mut [i8], scale: &mut f32) {
        // Adding 1.5 * 2^23 rounds to the nearest whole number, ties to even, and leaves it in the low bits.
        const MAGIC: f32 = 12_582_912.0;
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
const TURN: usize = 16;

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
