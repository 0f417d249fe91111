//! The loops around the micro-kernels: packed activations times the column panels of packed weights, block by block,
//! with the epilogue on each finished micro-tile.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::activations::PackedActivations;
use super::blocking::{Blocking, is_parallel};
use super::epilogue::{MlpActivation, as_uninit, epilogue_at, epilogue_residual_at};
use super::layout::{I8_GROUP, MR, NR};
use super::matrix::LinearWeights;
use super::microkernel::{self, MicroKernelArgs, Strided};
use super::weight_type::WeightType;
use crate::elementwise::activation;
use crate::isa::Isa;
use crate::prefetch::prefetch_write;
use crate::threads::disjoint::DisjointOut;

/// Columns of the result in a column panel: whole groups of the next product's activations.
const NC: usize = I8_GROUP;

/// Some rows of `W`, that is, columns of the result, whose products are finished together.
struct ColumnPanel<'a> {
    linear: &'a LinearWeights<'a>,
    rows: Range<usize>,
}

impl ColumnPanel<'_> {
    /// Adds the products of the k-steps `steps` of one block to `acc` `[mr, NC]`, which holds those of the steps
    /// before; values beyond the panel's rows are meaningless.
    fn accumulate(&self, isa: Isa, x: &PackedActivations, block: usize, steps: Range<usize>, acc: &mut [f32]) {
        let (mr, weight) = (x.layout.mr(block), self.linear.weight);
        let panels = self.rows.start / NR..self.rows.end.div_ceil(NR);
        let (w, stride) = weight.panels(panels.clone(), steps.clone());
        let args = MicroKernelArgs {
            k_steps: steps.len(),
            x: x.block(block, steps.clone()),
            blocks: Strided { count: 1, stride: 0 },
            w,
            panels: Strided { count: panels.len(), stride },
            zero_init: steps.start == 0,
            acc_stride: NC,
        };
        microkernel::accumulate(isa, weight.weight_type(), &args, &mut acc[..(mr - 1) * NC + panels.len() * NR]);
    }

    /// The bias of its rows; zeros where there is none.
    fn bias(&self) -> [f32; NC] {
        let mut bias = [0.0; NC];
        if let Some(all) = self.linear.bias {
            bias[..self.rows.len()].copy_from_slice(&all[self.rows.clone()]);
        }
        bias
    }
}

/// The rows of a matrix in column panels of `width`.
fn column_panels<'a>(linear: &'a LinearWeights<'a>, width: usize) -> impl Iterator<Item = ColumnPanel<'a>> {
    let n = linear.weight.dims().0;
    (0..n).step_by(width).map(move |first| ColumnPanel { linear, rows: first..n.min(first + width) })
}

/// Writes `x W_i^T + b_i` of every matrix, `[t, rows_i]` one after the other, to all of `y`; `residual`, as long as
/// `y`, is added where it is given.
pub(super) fn linear_to_f32(
    isa: Isa,
    linears: &[LinearWeights<'_>],
    x: &PackedActivations,
    t: usize,
    residual: Option<&[f32]>,
    y: &mut [MaybeUninit<f32>],
) {
    // With few rows the panels are narrow, so that there is one for every thread.
    let width = if t > 2 * MR { NC } else { NR };
    let (mut list, mut start) = (Vec::new(), 0);
    for linear in linears {
        list.extend(column_panels(linear, width).map(|panel| (panel, start)));
        start += t * linear.weight.dims().0;
    }
    let multiplications = start * linears.first().map_or(0, |linear| linear.weight.dims().1);
    assert_eq!(y.len(), start, "result size");
    let y = DisjointOut::new(y.as_mut_ptr().cast());
    let blocking = Blocking::sliced(x.layout);
    // Without slices the accumulators of a block are used at once; with slices those of all blocks of a group are kept.
    let kept = if blocking.kc < blocking.k_steps { blocking.mc } else { 1 };
    let init = || vec![0.0; kept * MR * NC];
    blocking.for_each_tile(list.len(), is_parallel(multiplications), init, |acc, blocks, panels| {
        for (panel, start) in &list[panels] {
            let (bias, n, width) = (panel.bias(), panel.linear.weight.dims().0, panel.rows.len());
            for steps in blocking.slices() {
                let last = steps.end == blocking.k_steps;
                for block in blocks.clone() {
                    let acc = &mut acc[(block - blocks.start) % kept * MR * NC..][..MR * NC];
                    let rows = if last { x.layout.first_row(block)..x.layout.first_row(block + 1) } else { 0..0 };
                    rows.clone().for_each(|row| prefetch_write(y.at(start + row * n + panel.rows.start), width));
                    panel.accumulate(isa, x, block, steps.clone(), acc);
                    for (row, acc) in rows.zip(acc.chunks_exact(NC)) {
                        let at = start + row * n + panel.rows.start;
                        // SAFETY: the row is below t and the panel's rows are the matrix's, so the values lie inside
                        // the result `[t, n]` of this matrix; no other job has this block and this panel.
                        let y = unsafe { std::slice::from_raw_parts_mut(y.at(at).cast(), width) };
                        match residual {
                            None => epilogue_at(isa, acc, &bias, None, y),
                            Some(residual) => epilogue_residual_at(isa, acc, &bias, &residual[at..at + width], y),
                        }
                    }
                }
            }
        }
    });
}

/// `activation(x W^T + b)` packed as activations of the next product, whose weights are of `next_type`. The values
/// never lie in memory as f32.
pub(super) fn linear_to_packed(
    isa: Isa,
    linears: &[LinearWeights<'_>],
    x: &PackedActivations,
    t: usize,
    mlp_activation: MlpActivation,
    next_type: WeightType,
) -> PackedActivations {
    let (n, cols) = linears[0].weight.dims();
    let mut next = PackedActivations::zeroed(next_type, t, n);
    let writer = next.writer(isa);
    let lists: Vec<Vec<ColumnPanel<'_>>> = linears.iter().map(|linear| column_panels(linear, NC).collect()).collect();
    let init = || ([0.0; MR * NC], [[0.0; MR * NC]; 2]);
    let (blocking, steps) = (Blocking::whole_rows(x.layout), 0..x.layout.k_steps());
    let parallel = is_parallel(t * n * cols * linears.len());
    blocking.for_each_tile(lists[0].len(), parallel, init, |(acc, outputs), blocks, panels| {
        for panel in panels {
            let biases = lists.iter().map(|list| list[panel].bias()).collect::<Vec<_>>();
            for block in blocks.clone() {
                let mr = x.layout.mr(block);
                for ((list, bias), output) in lists.iter().zip(&biases).zip(&mut *outputs) {
                    list[panel].accumulate(isa, x, block, steps.clone(), acc);
                    for (acc, output) in acc.chunks_exact(NC).zip(output.chunks_exact_mut(NC)).take(mr) {
                        epilogue_at(isa, acc, bias, Some(mlp_activation), as_uninit(output));
                    }
                }
                let [first, second] = outputs.each_ref().map(|output| &output[..mr * NC]);
                let values = if mlp_activation == MlpActivation::SwiGlu {
                    activation::swiglu_at(isa, first, second, &mut acc[..mr * NC]);
                    &acc[..mr * NC]
                } else {
                    first
                };
                // SAFETY: no other job has this block and these columns.
                unsafe { writer.pack_columns(block, lists[0][panel].rows.clone(), values) };
            }
        }
    });
    next
}
