//! Several operations in one pass over packed weights, for values that nobody learns from.

use candle_core::{Result, Tensor, bail};
use zoetrope_kernels::packed::{self, Affine, Before, Between, Packed};

use super::custom::read;
use super::linear::Norm;

/// A packed matrix and its bias.
pub(super) type Matrix<'a> = (&'a Packed, Option<&'a Tensor>);

/// Whether what is computed from `x` may be fused: on the CPU, without gradients.
pub(super) fn may(x: &Tensor) -> bool {
    x.device().is_cpu() && !x.track_op()
}

/// `norm(x) W^T + b` of matrices of one kind, plus `add` where it is given: a `[T, O]` of each.
pub(super) fn products(norm: Norm<'_>, all: &[Matrix<'_>], x_ti: &Tensor, add: Option<&Tensor>) -> Result<Vec<Tensor>> {
    let (t, input) = x_ti.dims2()?;
    fits(all, input)?;
    let y = with(norm, all, x_ti, add, |before, all, x, add| packed::products(all, x, t, before, add))?;
    apart(&Tensor::from_vec(y, t * outputs(all), x_ti.device())?, all, t)
}

/// `between(norm(x) W1^T + b1) W2^T + b2`, plus `add` where it is given.
pub(super) fn perceptron(
    norm: Norm<'_>,
    first: &[Matrix<'_>],
    between: Between,
    second: Matrix<'_>,
    x_ti: &Tensor,
    add: Option<&Tensor>,
) -> Result<Tensor> {
    let (t, input) = x_ti.dims2()?;
    fits(first, input)?;
    fits(&[second], first[0].0.dims().0)?;
    let all: Vec<Matrix<'_>> = first.iter().copied().chain([second]).collect();
    let y = with(norm, &all, x_ti, add, |before, all, x, add| {
        let (second, first) = (all[all.len() - 1], &all[..all.len() - 1]);
        packed::perceptron(first, between, second, x, t, before, add)
    })?;
    Tensor::from_vec(y, (t, second.0.dims().0), x_ti.device())
}

/// The values of the matrices `[T, O]` that lie one after the other in `y`.
pub(super) fn apart(y: &Tensor, all: &[Matrix<'_>], t: usize) -> Result<Vec<Tensor>> {
    let mut start = 0;
    let one = |(w, _): &Matrix<'_>| {
        let output = w.dims().0;
        let own = y.narrow(0, start, t * output)?.reshape((t, output));
        start += t * output;
        own
    };
    all.iter().map(one).collect()
}

fn outputs(all: &[Matrix<'_>]) -> usize {
    all.iter().map(|(w, _)| w.dims().0).sum()
}

/// Fails when a matrix does not take rows of `input` values, or its bias has another size.
pub(super) fn fits(all: &[Matrix<'_>], input: usize) -> Result<()> {
    for (w, bias) in all {
        if w.dims().1 != input || bias.is_some_and(|bias| bias.dims() != [w.dims().0]) {
            bail!("linear of rows of {input}, packed w {:?}, b {:?}", w.dims(), bias.map(Tensor::dims))
        }
    }
    Ok(())
}

/// Calls `f` with the values of all tensors.
fn with<R>(
    norm: Norm<'_>,
    all: &[Matrix<'_>],
    x: &Tensor,
    add: Option<&Tensor>,
    f: impl FnOnce(Before<'_>, &[Affine<'_>], &[f32], Option<&[f32]>) -> R,
) -> Result<R> {
    let own = norm.tensors();
    let tensors: Vec<&Tensor> =
        [x].into_iter().chain(own).chain(all.iter().filter_map(|(_, bias)| *bias)).chain(add).collect();
    read(&tensors, |values| {
        let mut values = values.iter().copied();
        let mut next = || values.next().unwrap_or_default();
        let x = next();
        let before = norm.before(&mut next);
        let all: Vec<Affine<'_>> =
            all.iter().map(|(weight, bias)| Affine { weight, bias: bias.map(|_| next()) }).collect();
        f(before, &all, x, add.map(|_| next()))
    })
}
