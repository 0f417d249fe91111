//! Fused linear layers and MLPs: norm, product, bias, activation and residual in one pass.

use std::mem::MaybeUninit;

use super::activations::{PackedActivations, PreNorm};
use super::blocking::is_parallel;
use super::epilogue::{MlpActivation, as_uninit};
use super::macrokernel::{linear_to_f32, linear_to_packed};
use super::matrix::{LinearWeights, PackedMatrix};
use super::weight_type::WeightType;
use crate::isa::{Isa, isa};

/// Checks that the matrices have one width, and the biases the length of their rows; returns the width.
fn check(linears: &[LinearWeights<'_>]) -> usize {
    let cols = linears[0].weight.dims().1;
    for linear in linears {
        assert!(linear.weight.dims().1 == cols, "matrices of one product");
        assert!(linear.bias.is_none_or(|bias| bias.len() == linear.weight.dims().0), "bias size");
    }
    cols
}

/// The weight type of matrices that are multiplied together.
fn one_type(linears: &[LinearWeights<'_>]) -> WeightType {
    let weight_type = linears[0].weight.weight_type();
    assert!(linears.iter().all(|linear| linear.weight.weight_type() == weight_type), "weight types of one product");
    weight_type
}

/// Fused linear layers on one input: `norm(x) W_i^T + b_i (+ residual)` for each i. `x` is `[t, cols]`; the results
/// `[t, rows_i]` are concatenated, and `residual` has the size of all of them. `x` is normalized and packed once for
/// all matrices of one weight type that follow each other.
///
/// # Panics
/// When there is no matrix, when the matrices differ in columns, and when a slice does not have the size that `t` says.
pub fn fused_linear(
    linears: &[LinearWeights<'_>],
    x: &[f32],
    t: usize,
    norm: PreNorm<'_>,
    residual: Option<&[f32]>,
) -> Vec<f32> {
    fused_linear_at(isa(), linears, x, t, norm, residual)
}

/// [`fused_linear`] with a given instruction set.
pub(super) fn fused_linear_at(
    isa: Isa,
    linears: &[LinearWeights<'_>],
    x: &[f32],
    t: usize,
    norm: PreNorm<'_>,
    residual: Option<&[f32]>,
) -> Vec<f32> {
    let n = t * linears.iter().map(|linear| linear.weight.dims().0).sum::<usize>();
    let mut y: Vec<f32> = Vec::with_capacity(n);
    write_linear(isa, linears, x, t, norm, residual, &mut y.spare_capacity_mut()[..n]);
    // SAFETY: `write_linear` has written all `n` values.
    unsafe { y.set_len(n) };
    y
}

fn write_linear(
    isa: Isa,
    linears: &[LinearWeights<'_>],
    x: &[f32],
    t: usize,
    norm: PreNorm<'_>,
    residual: Option<&[f32]>,
    y: &mut [MaybeUninit<f32>],
) {
    let cols = check(linears);
    assert_eq!(x.len(), t * cols, "input size");
    let outputs = |linears: &[LinearWeights<'_>]| linears.iter().map(|linear| linear.weight.dims().0).sum::<usize>();
    assert!(residual.is_none_or(|residual| residual.len() == t * outputs(linears)), "residual size");
    let mut start = 0;
    for linears in linears.chunk_by(|a, b| a.weight.weight_type() == b.weight.weight_type()) {
        let n = t * outputs(linears);
        let x = PackedActivations::pack(isa, one_type(linears), x, t, cols, norm, is_parallel(n * cols));
        let own = start..start + n;
        linear_to_f32(isa, linears, &x, t, residual.map(|all| &all[own.clone()]), &mut y[own.clone()]);
        start = own.end;
    }
}

/// Fused MLP: `activation(norm(x) W1^T + b1) W2^T + b2 (+ residual)`. `x` is `[t, cols of W1]`, the result and
/// `residual` are `[t, rows of W2]`. SwiGLU takes two first layers, gate and up; the other activations take one. The
/// hidden values are kept packed for the second product, in at most 4 bytes a value.
///
/// # Panics
/// When the matrices do not fit together, when the first layers differ in weight type, and when a slice does not have
/// the size that `t` says.
pub fn fused_mlp(
    first: &[LinearWeights<'_>],
    activation: MlpActivation,
    second: LinearWeights<'_>,
    x: &[f32],
    t: usize,
    norm: PreNorm<'_>,
    residual: Option<&[f32]>,
) -> Vec<f32> {
    fused_mlp_at(isa(), first, activation, second, x, t, norm, residual)
}

/// [`fused_mlp`] with a given instruction set.
#[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
pub(super) fn fused_mlp_at(
    isa: Isa,
    first: &[LinearWeights<'_>],
    activation: MlpActivation,
    second: LinearWeights<'_>,
    x: &[f32],
    t: usize,
    norm: PreNorm<'_>,
    residual: Option<&[f32]>,
) -> Vec<f32> {
    let (cols, hidden) = (check(first), check(&[second]));
    assert_eq!(first.len(), if activation == MlpActivation::SwiGlu { 2 } else { 1 }, "first matrices");
    assert!(first.iter().all(|linear| linear.weight.dims().0 == hidden), "rows of the first matrices");
    let n = t * second.weight.dims().0;
    assert!(x.len() == t * cols && residual.is_none_or(|residual| residual.len() == n), "input size");
    let x = PackedActivations::pack(isa, one_type(first), x, t, cols, norm, is_parallel(t * hidden * cols));
    let next = linear_to_packed(isa, first, &x, t, activation, one_type(&[second]));
    drop(x);
    let mut y: Vec<f32> = Vec::with_capacity(n);
    linear_to_f32(isa, &[second], &next, t, residual, &mut y.spare_capacity_mut()[..n]);
    // SAFETY: `linear_to_f32` has written all `n` values.
    unsafe { y.set_len(n) };
    y
}

impl PackedMatrix {
    /// Writes `x W^T + b` to `y`: `x` is `[t, cols]`, `y` is `[t, rows]`.
    ///
    /// # Panics
    /// When a slice does not have the size that `t` says.
    pub fn matmul(&self, x: &[f32], t: usize, b: Option<&[f32]>, y: &mut [f32]) {
        self.matmul_at(isa(), x, t, b, y);
    }

    pub(crate) fn matmul_at(&self, isa: Isa, x: &[f32], t: usize, b: Option<&[f32]>, y: &mut [f32]) {
        assert_eq!(y.len(), t * self.dims().0, "result size");
        write_linear(isa, &[LinearWeights { weight: self, bias: b }], x, t, PreNorm::None, None, as_uninit(y));
    }
}
