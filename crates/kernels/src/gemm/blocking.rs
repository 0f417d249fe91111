//! Cache blocking of a product (as in GotoBLAS and BLIS) and its distribution over threads. What is read again stays in
//! the L2 cache: `mc` blocks of rows of `x` times one column panel, and slices of `kc` k-steps of rows that are very
//! long.

use std::ops::Range;

use super::activations::ActivationsLayout;
use super::layout::{MR, SLICE_STEPS};
use crate::threads::thread_pool;

/// Multiplications below which a product stays on one thread (about 20 microseconds).
const MIN_PARALLEL_MULTIPLICATIONS: usize = 1 << 20;
/// Bytes of packed activations that are multiplied with one panel after the other; both fit the L2 cache.
const L2_ACTIVATION_BYTES: usize = 384 << 10;
/// Fewest blocks that one panel is multiplied with after it came from memory; when fewer fit the L2 cache, long rows
/// are cut into slices.
const MIN_BLOCKS_PER_PANEL: usize = 6;
/// Most k-steps of a slice: a column panel of them fits the L2 cache. A multiple of [`SLICE_STEPS`].
const MAX_KC: usize = 384;
const _: () = assert!(MAX_KC.is_multiple_of(SLICE_STEPS));

/// Whether a product of so many multiplications is spread over the pool.
pub(super) fn is_parallel(multiplications: usize) -> bool {
    multiplications >= MIN_PARALLEL_MULTIPLICATIONS && rayon::current_num_threads() > 1
}

/// Block sizes of one product.
#[derive(Clone, Copy)]
pub(super) struct Blocking {
    blocks: usize,
    pub(super) k_steps: usize,
    /// Blocks of rows of `x` that are multiplied with one column panel.
    pub(super) mc: usize,
    /// K-steps that are multiplied before the next ones of the same blocks.
    pub(super) kc: usize,
}

impl Blocking {
    /// Groups of as many blocks as fit the L2 cache with their whole rows.
    pub(super) fn whole_rows(layout: ActivationsLayout) -> Self {
        Self::new(layout, layout.k_steps())
    }

    /// Groups of blocks, and slices of rows that are so long that only a few whole blocks fit the L2 cache.
    pub(super) fn sliced(layout: ActivationsLayout) -> Self {
        let (whole, k_steps) = (Self::whole_rows(layout), layout.k_steps());
        if whole.mc >= MIN_BLOCKS_PER_PANEL.min(whole.blocks) {
            return whole;
        }
        let kc = k_steps.div_ceil(k_steps.div_ceil(MAX_KC)).next_multiple_of(SLICE_STEPS);
        Self::new(layout, kc)
    }

    fn new(layout: ActivationsLayout, kc: usize) -> Self {
        let blocks = layout.blocks();
        let most = (L2_ACTIVATION_BYTES / (MR * kc * 4).max(1)).clamp(1, blocks.max(1));
        // Equal groups: a small last group would stream all weights for little work.
        let mc = blocks.div_ceil(blocks.div_ceil(most).max(1)).max(1);
        Blocking { blocks, k_steps: layout.k_steps(), mc, kc }
    }

    /// The k-steps of each slice.
    pub(super) fn slices(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.k_steps).step_by(self.kc).map(move |first| first..self.k_steps.min(first + self.kc))
    }

    /// Calls `work(state, blocks, panels)` for pieces that together are all blocks times all `panels` column panels, on
    /// all threads if `parallel`. Each thread makes its state with `init` first.
    pub(super) fn for_each_tile<S>(
        self,
        panels: usize,
        parallel: bool,
        init: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, Range<usize>, Range<usize>) + Sync,
    ) {
        let Blocking { blocks, mc, .. } = self;
        let chunks = guided_chunks(panels, if parallel { 3 * rayon::current_num_threads() } else { 1 });
        let one = |state: &mut S, job: usize| {
            let (block, panels) = (job / chunks.len() * mc, chunks[job % chunks.len()].clone());
            work(state, block..blocks.min(block + mc), panels);
        };
        let jobs = blocks.div_ceil(mc) * chunks.len();
        if parallel {
            thread_pool::for_each_init(jobs, init, one);
        } else {
            let mut state = init();
            (0..jobs).for_each(|job| one(&mut state, job));
        }
    }
}

/// Cuts `0..n` into chunks of a `divisor`th of what is left (guided scheduling): there are few chunks, and the last
/// ones, for which threads wait, are small.
fn guided_chunks(n: usize, divisor: usize) -> Vec<Range<usize>> {
    let (mut chunks, mut first) = (Vec::new(), 0);
    while first < n {
        let last = first + (n - first).div_ceil(divisor);
        chunks.push(first..last);
        first = last;
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::super::activations::PackedActivations;
    use super::super::weight_type::WeightType;
    use super::*;

    #[test]
    fn long_rows_of_many_blocks_are_cut_into_slices() {
        let slices = |weight_type, t, cols| {
            let blocking = Blocking::sliced(PackedActivations::zeroed(weight_type, t, cols).layout);
            let all: Vec<_> = blocking.slices().collect();
            assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].end % SLICE_STEPS == 0));
            assert_eq!((all[0].start, all[all.len() - 1].end), (0, blocking.k_steps));
            all.len()
        };
        for weight_type in WeightType::ALL {
            assert_eq!(slices(weight_type, 38, 1152), 1, "{weight_type:?}");
            assert_eq!(slices(weight_type, 6, 11_110), 1, "{weight_type:?}: one block");
            assert!(slices(weight_type, 38, 11_110) > 7, "{weight_type:?}");
        }
    }
}
