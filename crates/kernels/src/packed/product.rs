//! How the work of a product is cut into jobs, and what becomes of their sums.

use std::ops::Range;

use rayon::prelude::*;

use super::rows::{Rows, Shape};
use super::tile::{Tile, add_tile};
use super::{Affine, Between, GROUP8, Kind, LANES, TILE_ROWS, Then};
use crate::activation;
use crate::level::{Level, per_level};

/// Multiplications below which a product stays on one thread (about 20 microseconds).
const WORTH_THREADS: usize = 1 << 20;
/// Bytes of packed rows of `x` that are multiplied with one panel after the other; both stay in the second cache.
const NEAR_BYTES: usize = 384 << 10;
/// Outputs that become rows of the next product at once: whole groups and chunks.
const WIDTH: usize = GROUP8;

/// Whether a product of so many multiplications is spread over the pool.
pub(super) fn large(multiplications: usize) -> bool {
    multiplications >= WORTH_THREADS && rayon::current_num_threads() > 1
}

/// Calls `work` for parts of all blocks of `shape` times all `units`, small enough that a thread that was held up leaves
/// its share to the others.
fn spread(shape: Shape, units: usize, many: bool, work: impl Fn(Range<usize>, Range<usize>) + Sync) {
    let blocks = shape.blocks();
    let near = (NEAR_BYTES / shape.block_bytes().max(1)).clamp(1, blocks.max(1));
    let parts = if many { (24 * rayon::current_num_threads()).div_ceil(blocks.div_ceil(near)) } else { 1 };
    let wide = units.div_ceil(parts.max(1)).max(1);
    let starts = (0..blocks).step_by(near).flat_map(|block| (0..units).step_by(wide).map(move |unit| (block, unit)));
    let one = |(block, unit): (usize, usize)| work(block..blocks.min(block + near), unit..units.min(unit + wide));
    if many {
        starts.collect::<Vec<_>>().into_par_iter().with_max_len(1).for_each(one);
    } else {
        starts.for_each(one);
    }
}

/// The result's first value. Jobs write disjoint parts of it.
#[derive(Clone, Copy)]
struct Out(*mut f32);

// SAFETY: every job writes only `y[row, column]` of its own blocks of rows and its own panels; no two jobs share both.
unsafe impl Sync for Out {}
// SAFETY: as above; the pointer itself is only a number.
unsafe impl Send for Out {}

/// Sums `[m, LANES]` of one block and one panel.
fn tile(level: Level, affine: &Affine<'_>, rows: &Rows, block: usize, panel: usize, sums: &mut [f32]) -> usize {
    let m = rows.shape.height(block);
    let w = affine.weight.panel(panel);
    let tile = Tile { m, steps: rows.shape.steps(), x: rows.block(block), w, fresh: true };
    add_tile(level, affine.weight.kind, &tile, &mut sums[..m * LANES]);
    m
}

/// The bias of a panel's rows, zeros where there is none.
fn bias(affine: &Affine<'_>, panel: usize) -> [f32; LANES] {
    let mut add = [0.0; LANES];
    if let Some(bias) = affine.bias {
        add.iter_mut().zip(&bias[panel * LANES..]).for_each(|(add, bias)| *add = *bias);
    }
    add
}

/// Writes `then(x W^T + b)` of every matrix, plus what is at the same place of `add`, to the `t * rows` values from `y`
/// on, one matrix after the other; the memory may hold nothing yet.
pub(super) fn values(
    level: Level,
    all: &[Affine<'_>],
    rows: &Rows,
    t: usize,
    then: Then,
    add: Option<&[f32]>,
    y: *mut f32,
) {
    let mut panels = Vec::new();
    let mut start = 0;
    for affine in all {
        panels.extend((0..affine.weight.rows.div_ceil(LANES)).map(|panel| (affine, panel, start)));
        start += t * affine.weight.rows;
    }
    let multiplications = start * all.first().map_or(0, |affine| affine.weight.cols);
    let y = Out(y);
    spread(rows.shape, panels.len(), large(multiplications), |blocks, units| {
        let y = y;
        let mut sums = [0.0; TILE_ROWS * LANES];
        for &(affine, panel, start) in &panels[units] {
            let bias = bias(affine, panel);
            let (n, first) = (affine.weight.rows, panel * LANES);
            let width = LANES.min(n - first);
            for block in blocks.clone() {
                let m = tile(level, affine, rows, block, panel, &mut sums);
                finish_at(level, &mut sums[..m * LANES], &bias, then);
                for (r, sums) in sums.chunks_exact_mut(LANES).enumerate().take(m) {
                    let at = start + (rows.shape.first(block) + r) * n + first;
                    if let Some(add) = add {
                        sums.iter_mut().zip(&add[at..at + width]).for_each(|(sum, add)| *sum += add);
                    }
                    // SAFETY: the block's rows are below t and first + width <= n, so the values lie inside the result
                    // `[t, n]` of this matrix; no other job has this block and this panel.
                    unsafe { std::ptr::copy_nonoverlapping(sums.as_ptr(), y.0.add(at), width) };
                }
            }
        }
    });
}

/// `between(x W^T + b)` as rows of the next product, which is of `kind`: never in memory as f32.
pub(super) fn next(
    level: Level,
    all: &[Affine<'_>],
    rows: &Rows,
    t: usize,
    between: Between,
    kind: Kind,
) -> Rows {
    let (n, cols) = (all[0].weight.rows, all[0].weight.cols);
    let mut next = Rows::room(kind, t, n);
    let out = next.out();
    spread(rows.shape, n.div_ceil(WIDTH), large(t * n * cols * all.len()), |blocks, units| {
        let (mut sums, mut wide) = ([0.0; TILE_ROWS * LANES], [[0.0; TILE_ROWS * WIDTH]; 2]);
        for unit in units {
            let columns = unit * WIDTH..n.min((unit + 1) * WIDTH);
            for block in blocks.clone() {
                let m = rows.shape.height(block);
                for (affine, wide) in all.iter().zip(&mut wide) {
                    for (part, panel) in (columns.start / LANES..columns.end.div_ceil(LANES)).enumerate() {
                        tile(level, affine, rows, block, panel, &mut sums);
                        finish_at(level, &mut sums[..m * LANES], &bias(affine, panel), Then::Keep);
                        for (wide, sums) in wide.chunks_exact_mut(WIDTH).zip(sums.chunks_exact(LANES)) {
                            wide[part * LANES..(part + 1) * LANES].copy_from_slice(sums);
                        }
                    }
                }
                let [first, second] = &mut wide;
                let (first, second) = (&mut first[..m * WIDTH], &second[..m * WIDTH]);
                match between {
                    Between::GeluTanh => finish_at(level, first, &[0.0; LANES], Then::GeluTanh),
                    Between::GeluErf => finish_at(level, first, &[0.0; LANES], Then::GeluErf),
                    Between::SwiGlu => activation::swiglu_to_at(level, first, second),
                }
                // SAFETY: no other job has this block and these columns.
                unsafe { out.put(block, columns.clone(), first) };
            }
        }
    });
    next
}

per_level! {
    /// Adds the bias to every row of `sums` `[m, LANES]` and applies `then`.
    fn finish / finish_at(sums: &mut [f32], bias: &[f32; LANES], then: Then) {
        for row in sums.as_chunks_mut::<LANES>().0 {
            for lane in 0..LANES {
                row[lane] += bias[lane];
            }
        }
        match then {
            Then::Keep => {}
            Then::GeluTanh => sums.iter_mut().for_each(|sum| *sum = activation::gelu(*sum)),
            Then::GeluErf => sums.iter_mut().for_each(|sum| *sum = activation::gelu_exact(*sum)),
        }
    }
}
