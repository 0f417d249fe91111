//! Rows of `x` (activations) packed in the order in which the micro-kernels read them: blocks of at most [`MR`] rows;
//! in a block, for every k-step, the 32 bits of each row. For quantized weights each row also gets a scale per
//! [`ACT_GROUP`] values and an offset per run of [`WeightType::accumulation_len`] values.

use std::ops::Range;

use super::layout::{ACT_GROUP, FULL_MR, I8_GROUP, MR};
use super::quantize::{QUANT_BLOCK, QuantMeta, quantize_activations_at};
use super::weight_type::WeightType;
use crate::bf16::f32_to_bf16;
use crate::elementwise::norm;
use crate::isa::{Isa, per_isa};
use crate::threads::thread_pool;

/// Normalization of the rows of `x` before a product.
#[derive(Clone, Copy, Debug)]
pub enum PreNorm<'a> {
    /// No normalization.
    None,
    /// LayerNorm with weight and bias `[cols]`.
    LayerNorm {
        /// Factors, applied after the division by the standard deviation.
        weight: &'a [f32],
        /// Added last.
        bias: &'a [f32],
        /// Added to the variance.
        eps: f32,
    },
    /// RMSNorm with weight `[cols]`.
    RmsNorm {
        /// Factors, applied after the division by the root mean square.
        weight: &'a [f32],
        /// Added to the mean square.
        eps: f32,
    },
}

impl PreNorm<'_> {
    /// Panics unless weight and bias have `cols` values.
    fn check(self, cols: usize) {
        let fits = match self {
            PreNorm::None => true,
            PreNorm::LayerNorm { weight, bias, .. } => weight.len() == cols && bias.len() == cols,
            PreNorm::RmsNorm { weight, .. } => weight.len() == cols,
        };
        assert!(fits, "size of the norm before a product");
    }

    /// The normalized rows of `x`.
    fn apply(self, isa: Isa, x: &[f32]) -> Vec<f32> {
        let mut y = vec![0.0; x.len()];
        match self {
            PreNorm::None => y.copy_from_slice(x),
            PreNorm::LayerNorm { weight, bias, eps } => norm::layer_norm_at(isa, x, weight, bias, eps, &mut y),
            PreNorm::RmsNorm { weight, eps } => norm::rms_norm_at(isa, x, weight, eps, &mut y),
        }
        y
    }
}

/// Sizes of packed activations, from which all positions follow.
#[derive(Clone, Copy)]
pub(crate) struct ActivationsLayout {
    weight_type: WeightType,
    t: usize,
    cols: usize,
    /// Rows of a block; the first [`Self::taller`] blocks have one more.
    low: usize,
    taller: usize,
}

impl ActivationsLayout {
    fn new(weight_type: WeightType, t: usize, cols: usize) -> Self {
        let blocks = Self::blocks_of(t).max(1);
        ActivationsLayout { weight_type, t, cols, low: t / blocks, taller: t % blocks }
    }

    /// Products with few rows wait for the weights, so that every block less is worth more than free registers.
    fn blocks_of(t: usize) -> usize {
        t.div_ceil(if t <= 2 * MR { MR } else { FULL_MR })
    }

    pub(crate) fn blocks(self) -> usize {
        Self::blocks_of(self.t)
    }

    pub(crate) fn k_steps(self) -> usize {
        self.weight_type.k_steps(self.cols)
    }

    /// Scale groups and accumulation runs of a row.
    fn groups_and_runs(self) -> (usize, usize) {
        let width = if self.weight_type.is_quantized() { self.k_steps() * 4 } else { 0 };
        (width.div_ceil(ACT_GROUP), width.div_ceil(self.weight_type.accumulation_len()))
    }

    /// First row of a block; heights of blocks differ by one at most.
    pub(crate) fn first_row(self, block: usize) -> usize {
        block * self.low + block.min(self.taller)
    }

    /// The end of the block that contains row `end - 1`, at most `t`.
    pub(crate) fn end_of_block(self, end: usize) -> usize {
        let (end, high) = (end.min(self.t), self.taller * (self.low + 1));
        if end <= high { end.next_multiple_of(self.low + 1) } else { high + (end - high).next_multiple_of(self.low) }
    }

    /// Rows of a block.
    pub(crate) fn mr(self, block: usize) -> usize {
        self.low + usize::from(block < self.taller)
    }

    /// Where some k-steps of a block lie among all words, scales and offsets. The first and the last k-step are at
    /// boundaries of scale groups and accumulation runs.
    fn ranges(self, block: usize, steps: Range<usize>) -> [Range<usize>; 3] {
        let (first, mr, (groups, runs)) = (self.first_row(block), self.mr(block), self.groups_and_runs());
        let range = |all: usize, part: Range<usize>| first * all + part.start * mr..first * all + part.end * mr;
        let meta = |all: usize, unit: usize| {
            if all == 0 { 0..0 } else { range(all, 4 * steps.start / unit..(4 * steps.end).div_ceil(unit)) }
        };
        [range(self.k_steps(), steps.clone()), meta(groups, ACT_GROUP), meta(runs, self.weight_type.accumulation_len())]
    }
}

/// The packed rows of one product.
pub(crate) struct PackedActivations {
    pub(crate) layout: ActivationsLayout,
    /// Block after block, `[k_steps, mr]` each.
    words: Vec<u32>,
    /// Block after block, `[groups, mr]` each: scale of a row's values in a group; empty unless quantized.
    scales: Vec<f32>,
    /// Block after block, `[runs, mr]` each. In int8: added to the integer sum of (stored weight times value) to undo
    /// the zero point of the stored weights. In int4: the sum of the values, which is multiplied with the minima.
    /// Empty unless quantized.
    offsets: Vec<i32>,
}

/// Packed rows as a micro-kernel reads them: some k-steps of one block, or, in f32 and bf16, several blocks of equal
/// height.
#[derive(Clone, Copy)]
pub(crate) struct ActivationBlock<'a> {
    /// Rows of the block, `1..=MR`.
    pub(crate) mr: usize,
    /// `[k_steps, mr]`.
    pub(crate) words: &'a [u32],
    /// `[groups, mr]`, or empty.
    pub(crate) scales: &'a [f32],
    /// `[runs, mr]`, or empty.
    pub(crate) offsets: &'a [i32],
}

/// Blocks that one job packs.
const BLOCKS_PER_JOB: usize = 4;

/// Some columns of a block, to be written.
struct BlockColumnsMut<'a> {
    words: &'a mut [u32],
    scales: &'a mut [f32],
    offsets: &'a mut [i32],
}

impl PackedActivations {
    /// Zeros for `t` rows of `cols` values.
    pub(crate) fn zeroed(weight_type: WeightType, t: usize, cols: usize) -> Self {
        let layout = ActivationsLayout::new(weight_type, t, cols);
        let (groups, runs) = layout.groups_and_runs();
        PackedActivations {
            layout,
            words: vec![0; t * layout.k_steps()],
            scales: vec![0.0; t * groups],
            offsets: vec![0; t * runs],
        }
    }

    /// Normalizes and packs `x` `[t, cols]`, on all threads if `parallel`.
    pub(crate) fn pack(
        isa: Isa,
        weight_type: WeightType,
        x: &[f32],
        t: usize,
        cols: usize,
        norm: PreNorm<'_>,
        parallel: bool,
    ) -> Self {
        norm.check(cols);
        let mut packed = Self::zeroed(weight_type, t, cols);
        let (layout, writer) = (packed.layout, packed.writer(isa));
        let pack_block = |block: usize| {
            let x = &x[layout.first_row(block) * cols..layout.first_row(block + 1) * cols];
            // SAFETY: every block is written by one call.
            match norm {
                PreNorm::None => unsafe { writer.pack_columns(block, 0..cols, x) },
                _ => unsafe { writer.pack_columns(block, 0..cols, &norm.apply(isa, x)) },
            }
        };
        let blocks = layout.blocks();
        if parallel {
            thread_pool::for_each(blocks.div_ceil(BLOCKS_PER_JOB), |job| {
                (job * BLOCKS_PER_JOB..blocks.min((job + 1) * BLOCKS_PER_JOB)).for_each(pack_block);
            });
        } else {
            (0..blocks).for_each(pack_block);
        }
        packed
    }

    /// Packs `t` rows given column by column: `read(column, values)` writes the `t` values of a column. f32 and bf16
    /// only.
    pub(crate) fn from_columns(
        isa: Isa,
        weight_type: WeightType,
        t: usize,
        cols: usize,
        mut read: impl FnMut(usize, &mut [f32]),
    ) -> Self {
        assert!(!weight_type.is_quantized(), "columns of quantized activations");
        let mut packed = Self::zeroed(weight_type, t, cols);
        let layout = packed.layout;
        let blocks: Vec<(usize, usize)> =
            (0..layout.blocks()).map(|block| (layout.first_row(block), layout.mr(block))).collect();
        let (mut x, mut y, mut words) = (vec![0.0; t], vec![0.0; t], vec![0; t]);
        for step in 0..layout.k_steps() {
            read(step * weight_type.values_per_step(), &mut x);
            if weight_type == WeightType::F32 {
                words.iter_mut().zip(&x).for_each(|(word, value)| *word = value.to_bits());
            } else {
                if 2 * step + 1 < cols {
                    read(2 * step + 1, &mut y)
                } else {
                    y.fill(0.0)
                }
                bf16_pairs_at(isa, &x, &y, &mut words);
            }
            for &(first, mr) in &blocks {
                let block = &mut packed.words[first * layout.k_steps() + step * mr..][..mr];
                let words = &words[first..first + mr];
                // A copy of a known number of words is two moves, any other a call.
                match (block.as_mut_array::<FULL_MR>(), words.as_array()) {
                    (Some(block), Some(words)) => *block = *words,
                    _ => block.copy_from_slice(words),
                }
            }
        }
        packed
    }

    /// Some k-steps of a block, the first and the last at boundaries of scale groups and accumulation runs.
    pub(crate) fn block(&self, block: usize, steps: Range<usize>) -> ActivationBlock<'_> {
        let [words, scales, offsets] = self.layout.ranges(block, steps);
        ActivationBlock {
            mr: self.layout.mr(block),
            words: &self.words[words],
            scales: &self.scales[scales],
            offsets: &self.offsets[offsets],
        }
    }

    /// All blocks, those of equal height together, with their number. f32 and bf16 only.
    pub(crate) fn uniform_blocks(&self) -> impl Iterator<Item = (usize, ActivationBlock<'_>)> {
        let (layout, steps) = (self.layout, self.layout.k_steps());
        let all = [(0..layout.taller, layout.low + 1), (layout.taller..layout.blocks(), layout.low)];
        all.into_iter().filter(|(blocks, _)| !blocks.is_empty()).map(move |(blocks, mr)| {
            let words = &self.words[layout.first_row(blocks.start) * steps..layout.first_row(blocks.end) * steps];
            (blocks.len(), ActivationBlock { mr, words, scales: &[], offsets: &[] })
        })
    }

    /// Lets several jobs write the rows.
    pub(crate) fn writer(&mut self, isa: Isa) -> ActivationsWriter {
        ActivationsWriter {
            isa,
            layout: self.layout,
            words: self.words.as_mut_ptr(),
            scales: self.scales.as_mut_ptr(),
            offsets: self.offsets.as_mut_ptr(),
        }
    }
}

/// Writes to the memory of [`PackedActivations`]; jobs write disjoint parts of it.
#[derive(Clone, Copy)]
pub(crate) struct ActivationsWriter {
    isa: Isa,
    layout: ActivationsLayout,
    words: *mut u32,
    scales: *mut f32,
    offsets: *mut i32,
}

// SAFETY: whoever calls `pack_columns` from several threads promises that no two calls share a block and a column.
unsafe impl Sync for ActivationsWriter {}
// SAFETY: the pointers themselves are only numbers.
unsafe impl Send for ActivationsWriter {}

impl ActivationsWriter {
    /// Packs `values`, the columns `columns` of all rows of `block`: one row after the other, with any equal stride.
    /// The first column is a multiple of 128, and so is the end unless it is the end of the row.
    ///
    /// # Safety
    /// The packed activations live, and no other call for the same block and an overlapping range of columns runs
    /// meanwhile.
    pub(crate) unsafe fn pack_columns(&self, block: usize, columns: Range<usize>, values: &[f32]) {
        let ActivationsLayout { weight_type, cols, .. } = self.layout;
        assert!(block < self.layout.blocks() && columns.end <= cols, "place of packed activations");
        assert!(columns.start.is_multiple_of(I8_GROUP), "first column of packed activations");
        assert!(columns.end == cols || columns.end.is_multiple_of(I8_GROUP), "last column of packed activations");
        let (all, per_step) = (self.layout.k_steps(), weight_type.values_per_step());
        let end = if columns.end == cols { all } else { columns.end / per_step };
        let [words, scales, offsets] = self.layout.ranges(block, columns.start / per_step..end);
        // SAFETY: the ranges lie inside the block's own parts of the three arrays, because the columns lie inside the
        // row; as the caller promises, no other call has them.
        let own = unsafe {
            BlockColumnsMut {
                words: std::slice::from_raw_parts_mut(self.words.add(words.start), words.len()),
                scales: std::slice::from_raw_parts_mut(self.scales.add(scales.start), scales.len()),
                offsets: std::slice::from_raw_parts_mut(self.offsets.add(offsets.start), offsets.len()),
            }
        };
        own.write(self.isa, weight_type, self.layout.mr(block), values, columns.len());
    }
}

impl BlockColumnsMut<'_> {
    /// Packs `values`: `mr` rows, of which the first `cols` values count.
    fn write(self, isa: Isa, weight_type: WeightType, mr: usize, values: &[f32], cols: usize) {
        let stride = values.len() / mr;
        let per_block = |unit: usize| QUANT_BLOCK / unit * mr;
        let mut scales = self.scales.chunks_mut(per_block(ACT_GROUP));
        let mut offsets = self.offsets.chunks_mut(per_block(weight_type.accumulation_len()));
        for (number, words) in self.words.chunks_mut(per_block(weight_type.values_per_step())).enumerate() {
            let columns = number * QUANT_BLOCK..cols.min((number + 1) * QUANT_BLOCK);
            let (scales, offsets) = (scales.next().unwrap_or_default(), offsets.next().unwrap_or_default());
            for r in 0..mr {
                let row = &values[r * stride..][columns.clone()];
                match weight_type {
                    WeightType::F32 => {
                        let words = words[r..].iter_mut().step_by(mr);
                        words.zip(row).for_each(|(word, value)| *word = value.to_bits());
                    }
                    WeightType::Bf16 => {
                        let mut row_words = [0; QUANT_BLOCK / 2];
                        round_to_bf16_at(isa, row, &mut row_words);
                        interleave(&row_words, r, mr, words);
                    }
                    WeightType::Int8 | WeightType::Int4 => {
                        let mut padded;
                        let row = if row.len() == QUANT_BLOCK {
                            row
                        } else {
                            padded = [0.0; QUANT_BLOCK];
                            padded[..row.len()].copy_from_slice(row);
                            &padded
                        };
                        let (mut row_words, mut meta) = ([0; QUANT_BLOCK / 4], QuantMeta::default());
                        quantize_activations_at(isa, row, weight_type, &mut row_words, &mut meta);
                        interleave(&row_words, r, mr, words);
                        scales[r..].iter_mut().step_by(mr).zip(meta.scales).for_each(|(to, from)| *to = from);
                        offsets[r..].iter_mut().step_by(mr).zip(meta.offsets).for_each(|(to, from)| *to = from);
                    }
                }
            }
        }
    }
}

/// Writes the words of row `r` of `mr` to their places in `block` `[k_steps, mr]`, as many as fit.
fn interleave(words: &[u32], r: usize, mr: usize, block: &mut [u32]) {
    if mr == FULL_MR {
        let steps = block.as_chunks_mut::<FULL_MR>().0;
        steps.iter_mut().zip(words).for_each(|(step, word)| step[r] = *word);
    } else {
        block[r..].iter_mut().step_by(mr).zip(words).for_each(|(to, word)| *to = *word);
    }
}

per_isa! {
    /// At most [`QUANT_BLOCK`] values `x` rounded to bf16, two in a word.
    fn round_to_bf16 / round_to_bf16_at(x: &[f32], words: &mut [u32; QUANT_BLOCK / 2]) {
        let mut rounded = [0; QUANT_BLOCK];
        rounded.iter_mut().zip(x).for_each(|(rounded, value)| *rounded = f32_to_bf16(*value));
        for (word, pair) in words.iter_mut().zip(rounded.as_chunks::<2>().0) {
            *word = u32::from(pair[0]) | u32::from(pair[1]) << 16;
        }
    }
}

per_isa! {
    /// Two rows rounded to bf16 and interleaved: a word holds a value of `x` (low half) and one of `y` (high half).
    fn bf16_pairs / bf16_pairs_at(x: &[f32], y: &[f32], words: &mut [u32]) {
        for ((word, x), y) in words.iter_mut().zip(x).zip(y) {
            *word = u32::from(f32_to_bf16(*x)) | u32::from(f32_to_bf16(*y)) << 16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_block_is_the_first_row_of_the_next() {
        for t in 1..60 {
            let layout = ActivationsLayout::new(WeightType::F32, t, 1);
            for end in 1..70 {
                let want = (0..=layout.blocks()).map(|block| layout.first_row(block)).find(|first| *first >= end);
                assert_eq!(layout.end_of_block(end), want.unwrap_or(t), "{end} of {t}");
            }
        }
    }
}
