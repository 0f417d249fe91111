//! How the work of a product is cut into jobs, and what becomes of their sums.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::rows::Rows;
use super::tile::{Tile, add_tile};
use super::{Kind, LANES, Packed, TILE_ROWS, Then};
use crate::activation::gelu;
use crate::level::{Level, per_level};

/// Multiplications below which a product stays on one thread (about 20 microseconds).
const WORTH_THREADS: usize = 1 << 20;
/// Bytes of packed rows of `x` that are multiplied with one panel after the other; they stay in the second cache.
const NEAR_BYTES: usize = 512 << 10;

/// Writes `then(x W^T + b)` of every matrix to the `t * rows` values from `y` on, one after the other; the memory may
/// hold nothing yet.
pub(super) fn write(level: Level, all: &[(&Packed, Option<&[f32]>)], x: &[f32], t: usize, then: Then, y: *mut f32) {
    let Some((first, _)) = all.first() else { return };
    let (kind, cols) = (first.kind, first.cols);
    assert_eq!(x.len(), t * cols, "input size");
    for (packed, b) in all {
        assert!(packed.kind == kind && packed.cols == cols, "matrices of one product");
        assert!(b.is_none_or(|b| b.len() == packed.rows), "bias size");
    }
    let values: usize = all.iter().map(|(packed, _)| packed.rows).sum();
    if t == 0 || values == 0 {
        return;
    }
    let threads = rayon::current_num_threads();
    let many = t * values * cols >= WORTH_THREADS && threads > 1;
    let rows = Rows::pack(kind, x, t, cols, many);
    let (mut products, mut start) = (Vec::new(), 0);
    for (packed, bias) in all {
        // SAFETY: `y` has `t * rows` values for each matrix, and `start` counts those before this one.
        let out = Out(unsafe { y.add(start) });
        products.push(Product { packed, rows: &rows, bias: *bias, then, level, out });
        start += t * packed.rows;
    }
    let jobs: Vec<(&Product<'_>, Job)> = products
        .iter()
        .flat_map(|product| product.jobs(if many { threads } else { 1 }).into_iter().map(move |job| (product, job)))
        .collect();
    if many {
        jobs.par_iter().with_max_len(1).for_each(|(product, job)| product.run(job));
    } else {
        jobs.iter().for_each(|(product, job)| product.run(job));
    }
}

/// The result's first value. Jobs write disjoint parts of it.
#[derive(Clone, Copy)]
struct Out(*mut f32);

// SAFETY: every job writes only `y[row, column]` of its own blocks of rows and its own panels; no two jobs share both.
unsafe impl Sync for Out {}
// SAFETY: as above; the pointer itself is only a number.
unsafe impl Send for Out {}

/// Blocks of rows of `x` times panels of `W`.
struct Job {
    blocks: Range<usize>,
    panels: Range<usize>,
}

struct Product<'a> {
    packed: &'a Packed,
    rows: &'a Rows,
    bias: Option<&'a [f32]>,
    then: Then,
    level: Level,
    out: Out,
}

impl Product<'_> {
    /// All work, in parts small enough that a thread that was held up leaves its share to the others.
    fn jobs(&self, threads: usize) -> Vec<Job> {
        let blocks = self.rows.blocks();
        let near = (NEAR_BYTES / (self.rows.block_bytes().max(1))).clamp(1, 8);
        let panels = self.packed.rows.div_ceil(LANES);
        let parts = if threads == 1 { 1 } else { (24 * threads).div_ceil(blocks.div_ceil(near)).max(threads) };
        let wide = panels.div_ceil(parts).max(1);
        let starts =
            (0..blocks).step_by(near).flat_map(|block| (0..panels).step_by(wide).map(move |panel| (block, panel)));
        let job = |(block, panel): (usize, usize)| Job {
            blocks: block..blocks.min(block + near),
            panels: panel..panels.min(panel + wide),
        };
        starts.map(job).collect()
    }

    fn run(&self, job: &Job) {
        let mut sums = vec![0.0; job.blocks.len() * TILE_ROWS * LANES];
        for panel in job.panels.clone() {
            self.sum(job, panel, &mut sums);
            let after = self.after(panel);
            for (block, sums) in job.blocks.clone().zip(sums.chunks_mut(TILE_ROWS * LANES)) {
                self.finish(panel, block, &after, &mut sums[..self.rows.height(block) * LANES]);
            }
        }
    }

    /// Sums of all chunks for one panel, block by block.
    fn sum(&self, job: &Job, panel: usize, sums: &mut [f32]) {
        let (kind, bytes) = (self.packed.kind, self.packed.panel(panel));
        let (steps, chunk) = (self.rows.steps(), kind.chunk() / kind.per_step());
        for (number, first) in (0..steps).step_by(chunk).enumerate() {
            let last = steps.min(first + chunk);
            let w = &bytes[kind.panel_bytes(first)..kind.panel_bytes(last)];
            for (block, sums) in job.blocks.clone().zip(sums.chunks_mut(TILE_ROWS * LANES)) {
                let m = self.rows.height(block);
                let x = self.rows.chunk(block, first..last, number);
                let tile = Tile { m, steps: last - first, x, w, fresh: number == 0 };
                add_tile(self.level, kind, &tile, &mut sums[..m * LANES]);
            }
        }
    }

    /// What the sums of a panel are multiplied with, and what is added then; one a lane.
    fn after(&self, panel: usize) -> [[f32; LANES]; 2] {
        let first = panel * LANES;
        let (mut factor, mut add) = ([1.0; LANES], [0.0; LANES]);
        if self.packed.kind == Kind::Int8 {
            let scales = self.packed.row_scales();
            for (factor, bytes) in factor.iter_mut().zip(scales[4 * first..].as_chunks::<4>().0) {
                *factor = f32::from_le_bytes(*bytes);
            }
        }
        if let Some(bias) = self.bias {
            add.iter_mut().zip(&bias[first..]).for_each(|(add, bias)| *add = *bias);
        }
        [factor, add]
    }

    /// Scales, adds the bias and writes one tile of the result.
    fn finish(&self, panel: usize, block: usize, [factor, add]: &[[f32; LANES]; 2], sums: &mut [f32]) {
        let (n, first) = (self.packed.rows, panel * LANES);
        let width = LANES.min(n - first);
        let row = self.rows.first(block);
        for (m, sums) in sums.chunks_exact(LANES).enumerate() {
            // SAFETY: the block's rows are below t and first + width <= n, so the values lie inside the result
            // `[t, n]`; no other job has this block and this panel.
            let to = unsafe {
                let start = self.out.0.add((row + m) * n + first).cast::<MaybeUninit<f32>>();
                std::slice::from_raw_parts_mut(start, width)
            };
            match self.then {
                Then::Keep => write_row_at(self.level, sums, factor, add, to),
                Then::GeluTanh => write_gelu_row_at(self.level, sums, factor, add, to),
            }
        }
    }
}

per_level! {
    /// One row of a tile to the result. (A call a row: over all rows the compiler would make lanes of the rows.)
    fn write_row / write_row_at(
        sums: &[f32], factor: &[f32; LANES], add: &[f32; LANES], to: &mut [MaybeUninit<f32>],
    ) {
        for (((to, sum), factor), add) in to.iter_mut().zip(sums).zip(factor).zip(add) {
            to.write(sum * factor + add);
        }
    }
}

per_level! {
    /// The same with GELU.
    fn write_gelu_row / write_gelu_row_at(
        sums: &[f32], factor: &[f32; LANES], add: &[f32; LANES], to: &mut [MaybeUninit<f32>],
    ) {
        for (((to, sum), factor), add) in to.iter_mut().zip(sums).zip(factor).zip(add) {
            to.write(gelu(sum * factor + add));
        }
    }
}
