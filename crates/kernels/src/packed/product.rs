//! How the work of a product is cut into jobs, and what becomes of their sums.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::rows::{Rows, Shape};
use super::tile::{self, Tiles};
use super::{Affine, Between, GROUP8, Kind, LANES, TILE_ROWS};
use crate::activation;
use crate::fetch;
use crate::level::{Level, per_level};
use crate::team;

/// Multiplications below which a product stays on one thread (about 20 microseconds).
const WORTH_THREADS: usize = 1 << 20;
/// Bytes of packed rows of `x` that are multiplied with one panel after the other; both stay in the second cache.
const NEAR_BYTES: usize = 384 << 10;
/// Blocks for which a unit's panels are worth fetching from afar.
const WORTH_PANELS: usize = 6;
/// Most steps of a slice: whole groups, of which a unit's panels stay in the second cache.
const SLICE_STEPS: usize = 384;
/// Outputs that become rows of the next product at once: whole groups and chunks.
const WIDTH: usize = GROUP8;

/// Whether a product of so many multiplications is spread over the pool.
pub(super) fn large(multiplications: usize) -> bool {
    multiplications >= WORTH_THREADS && rayon::current_num_threads() > 1
}

/// How a product is cut so that what is read again stays near.
#[derive(Clone, Copy)]
struct Cut {
    blocks: usize,
    steps: usize,
    /// Blocks that are multiplied with one unit.
    near: usize,
    /// Steps that are multiplied before the next ones of the same blocks.
    slice: usize,
}

impl Cut {
    /// Into groups of blocks.
    fn whole_rows(shape: Shape) -> Self {
        Self::new(shape, shape.steps())
    }

    /// Into groups of blocks and, where few long rows stay near, slices of them.
    fn slices(shape: Shape) -> Self {
        let (whole, steps) = (Self::whole_rows(shape), shape.steps());
        if whole.near >= WORTH_PANELS.min(whole.blocks) {
            return whole;
        }
        let slice = steps.div_ceil(steps.div_ceil(SLICE_STEPS)).next_multiple_of(GROUP8 / 4);
        Self::new(shape, slice)
    }

    fn new(shape: Shape, slice: usize) -> Self {
        let blocks = shape.blocks();
        let most = (NEAR_BYTES / (TILE_ROWS * slice * 4).max(1)).clamp(1, blocks.max(1));
        // Equal groups: a small one at the end would wait for all weights with little to multiply.
        let near = blocks.div_ceil(blocks.div_ceil(most).max(1)).max(1);
        Cut { blocks, steps: shape.steps(), near, slice }
    }

    /// The steps of each slice.
    fn each_slice(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.steps).step_by(self.slice).map(move |first| first..self.steps.min(first + self.slice))
    }
}

/// Calls `work` for parts of all blocks times all `units`, with something that every thread makes once.
fn spread<S>(
    cut: Cut,
    units: usize,
    many: bool,
    init: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, Range<usize>, Range<usize>) + Sync,
) {
    let Cut { blocks, near, .. } = cut;
    let shares = shares(units, if many { 3 * rayon::current_num_threads() } else { 1 });
    let one = |own: &mut S, part: usize| {
        let (block, units) = (part / shares.len() * near, shares[part % shares.len()].clone());
        work(own, block..blocks.min(block + near), units);
    };
    let all = blocks.div_ceil(near) * shares.len();
    if many {
        team::for_each_init(all, init, one);
    } else {
        let mut own = init();
        (0..all).for_each(|part| one(&mut own, part));
    }
}

/// Cuts `n` units: each share is a `part`th of what is left, so that there are few, and the last ones, for which
/// threads wait, are small.
fn shares(n: usize, part: usize) -> Vec<Range<usize>> {
    let (mut shares, mut first) = (Vec::new(), 0);
    while first < n {
        let last = first + (n - first).div_ceil(part);
        shares.push(first..last);
        first = last;
    }
    shares
}

/// The result's first value. Jobs write disjoint parts of it.
#[derive(Clone, Copy)]
struct Out(*mut f32);

// SAFETY: every job writes only `y[row, column]` of its own blocks of rows and its own panels; no two jobs share both.
unsafe impl Sync for Out {}
// SAFETY: as above; the pointer itself is only a number.
unsafe impl Send for Out {}

impl Out {
    /// Where value `n` goes.
    fn at(self, n: usize) -> *mut MaybeUninit<f32> {
        self.0.wrapping_add(n).cast()
    }
}

/// Some rows of `W` whose products are finished together.
struct Unit<'a> {
    affine: &'a Affine<'a>,
    rows: Range<usize>,
}

impl Unit<'_> {
    /// The sums of `steps` of one block, `[m, WIDTH]`, added to those of the steps before; values beyond the unit's
    /// rows mean nothing.
    fn multiply(&self, level: Level, x: &Rows, block: usize, steps: Range<usize>, sums: &mut [f32]) {
        let (m, weight) = (x.shape.height(block), self.affine.weight);
        let panels = self.rows.start / LANES..self.rows.end.div_ceil(LANES);
        let (w, bytes) = weight.panels(panels.clone(), steps.clone());
        let tiles = Tiles {
            steps: steps.len(),
            x: x.block(block, steps.clone()),
            blocks: (1, 0),
            w,
            panels: (panels.len(), bytes),
            fresh: steps.start == 0,
            stride: WIDTH,
        };
        tile::add(level, weight.kind, &tiles, &mut sums[..(m - 1) * WIDTH + panels.len() * LANES]);
    }

    /// The bias of its rows, zeros where there is none.
    fn bias(&self) -> [f32; WIDTH] {
        let mut bias = [0.0; WIDTH];
        if let Some(all) = self.affine.bias {
            bias[..self.rows.len()].copy_from_slice(&all[self.rows.clone()]);
        }
        bias
    }
}

/// Rows of a matrix in units of `width`.
fn units<'a>(affine: &'a Affine<'a>, width: usize) -> impl Iterator<Item = Unit<'a>> {
    let n = affine.weight.rows;
    (0..n).step_by(width).map(move |first| Unit { affine, rows: first..n.min(first + width) })
}

/// Writes `x W^T + b` of every matrix, plus what is at the same place of `add`, to all of `y`: `t * rows` values, one
/// matrix after the other.
pub(super) fn values(
    level: Level,
    all: &[Affine<'_>],
    x: &Rows,
    t: usize,
    add: Option<&[f32]>,
    y: &mut [MaybeUninit<f32>],
) {
    // Few rows: small units, so that there is one for every thread.
    let width = if t > TILE_ROWS { WIDTH } else { LANES };
    let (mut list, mut start) = (Vec::new(), 0);
    for affine in all {
        list.extend(units(affine, width).map(|unit| (unit, start)));
        start += t * affine.weight.rows;
    }
    let multiplications = start * all.first().map_or(0, |affine| affine.weight.cols);
    assert_eq!(y.len(), start, "result size");
    let y = Out(y.as_mut_ptr().cast());
    let cut = Cut::slices(x.shape);
    // Sums of a block that have seen all slices are used at once; the others must be kept.
    let kept = if cut.slice < cut.steps { cut.near } else { 1 };
    let init = || vec![0.0; kept * TILE_ROWS * WIDTH];
    spread(cut, list.len(), large(multiplications), init, |sums, blocks, numbers| {
        for (unit, start) in &list[numbers] {
            let (bias, n, width) = (unit.bias(), unit.affine.weight.rows, unit.rows.len());
            for steps in cut.each_slice() {
                let last = steps.end == cut.steps;
                for block in blocks.clone() {
                    let sums = &mut sums[(block - blocks.start) % kept * TILE_ROWS * WIDTH..][..TILE_ROWS * WIDTH];
                    let rows = if last { x.shape.first(block)..x.shape.first(block + 1) } else { 0..0 };
                    rows.clone().for_each(|row| fetch::to_write(y.at(start + row * n + unit.rows.start), width));
                    unit.multiply(level, x, block, steps.clone(), sums);
                    for (row, sums) in rows.zip(sums.chunks_exact(WIDTH)) {
                        let at = start + row * n + unit.rows.start;
                        // SAFETY: the row is below t and the unit's rows are the matrix's, so the values lie inside the
                        // result `[t, n]` of this matrix; no other job has this block and this unit.
                        let to = unsafe { std::slice::from_raw_parts_mut(y.at(at), width) };
                        match add {
                            None => finish_at(level, sums, &bias, None, to),
                            Some(add) => finish_added_at(level, sums, &bias, &add[at..at + width], to),
                        }
                    }
                }
            }
        }
    });
}

/// `between(x W^T + b)` as rows of the next product, which is of `kind`: never in memory as f32.
pub(super) fn next(level: Level, all: &[Affine<'_>], x: &Rows, t: usize, between: Between, kind: Kind) -> Rows {
    let (n, cols) = (all[0].weight.rows, all[0].weight.cols);
    let mut next = Rows::room(kind, t, n);
    let out = next.out();
    let list: Vec<Vec<Unit<'_>>> = all.iter().map(|affine| units(affine, WIDTH).collect()).collect();
    let init = || ([0.0; TILE_ROWS * WIDTH], [[0.0; TILE_ROWS * WIDTH]; 2]);
    let (cut, steps) = (Cut::whole_rows(x.shape), 0..x.shape.steps());
    spread(cut, list[0].len(), large(t * n * cols * all.len()), init, |(sums, ready), blocks, numbers| {
        for number in numbers {
            let biases = list.iter().map(|units| units[number].bias()).collect::<Vec<_>>();
            for block in blocks.clone() {
                let m = x.shape.height(block);
                for ((units, bias), ready) in list.iter().zip(&biases).zip(&mut *ready) {
                    units[number].multiply(level, x, block, steps.clone(), sums);
                    for (sums, ready) in sums.chunks_exact(WIDTH).zip(ready.chunks_exact_mut(WIDTH)).take(m) {
                        finish_at(level, sums, bias, Some(between), written(ready));
                    }
                }
                let [first, second] = ready.each_ref().map(|ready| &ready[..m * WIDTH]);
                let values = if between == Between::SwiGlu {
                    activation::swiglu_at(level, first, second, &mut sums[..m * WIDTH]);
                    &sums[..m * WIDTH]
                } else {
                    first
                };
                // SAFETY: no other job has this block and these columns.
                unsafe { out.put(block, list[0][number].rows.clone(), values) };
            }
        }
    });
    next
}

/// Values as memory that may be written.
pub(super) fn written(values: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: the same layout; only numbers are written through it.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), values.len()) }
}

per_level! {
    /// `sums + bias` of one row, with GELU where that comes next.
    fn finish / finish_at(sums: &[f32], bias: &[f32], then: Option<Between>, to: &mut [MaybeUninit<f32>]) {
        let all = to.iter_mut().zip(sums).zip(bias);
        match then {
            None | Some(Between::SwiGlu) => all.for_each(|((to, sum), bias)| { to.write(sum + bias); }),
            Some(Between::GeluTanh) => {
                all.for_each(|((to, sum), bias)| { to.write(activation::gelu::<FMA>(sum + bias)); });
            }
            Some(Between::GeluErf) => {
                all.for_each(|((to, sum), bias)| { to.write(activation::gelu_exact::<FMA>(sum + bias)); });
            }
        }
    }
}

per_level! {
    /// `sums + bias + add` of one row.
    fn finish_added / finish_added_at(sums: &[f32], bias: &[f32], add: &[f32], to: &mut [MaybeUninit<f32>]) {
        for (((to, sum), bias), add) in to.iter_mut().zip(sums).zip(bias).zip(add) {
            to.write(sum + bias + add);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_rows_of_many_blocks_are_cut_into_whole_groups() {
        let slices = |kind, t, cols| {
            let cut = Cut::slices(Rows::room(kind, t, cols).shape);
            let all: Vec<_> = cut.each_slice().collect();
            assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].end % (GROUP8 / 4) == 0));
            assert_eq!((all[0].start, all[all.len() - 1].end), (0, cut.steps));
            all.len()
        };
        for kind in Kind::ALL {
            assert_eq!(slices(kind, 38, 1152), 1, "{kind:?}");
            assert_eq!(slices(kind, 6, 11_110), 1, "{kind:?}: one block");
            assert!(slices(kind, 38, 11_110) > 7, "{kind:?}");
        }
    }
}
