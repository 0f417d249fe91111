//! Products with packed weights: alone with a gradient to their input, or fused with norm, activation and residual
//! where nothing needs a gradient.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use zoetrope_kernels::gemm::{self, LinearWeights, MlpActivation, PackedMatrix, PreNorm};

use super::tensors::{contiguous_f32, f32_slice, in_f32, tensor_like, use_kernels, with_values};

/// A packed matrix `[O, I]` and its bias `[O]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackedWeights<'a> {
    pub(crate) matrix: &'a PackedMatrix,
    pub(crate) bias: Option<&'a Tensor>,
}

/// A norm whose parameters are tensors, done while the input is packed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FusedNorm<'a> {
    None,
    Layer { weight: &'a Tensor, bias: &'a Tensor, eps: f64 },
    Rms { weight: &'a Tensor, eps: f64 },
}

impl<'a> FusedNorm<'a> {
    fn tensors(self) -> [Option<&'a Tensor>; 2] {
        match self {
            FusedNorm::None => [None, None],
            FusedNorm::Layer { weight, bias, .. } => [Some(weight), Some(bias)],
            FusedNorm::Rms { weight, .. } => [Some(weight), None],
        }
    }
}

/// Everything that a fused pass reads as plain values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FusedInput<'a> {
    /// `[T, I]`.
    pub(crate) x: &'a Tensor,
    pub(crate) norm: FusedNorm<'a>,
    /// Added to the result, `[T, O]`.
    pub(crate) residual: Option<&'a Tensor>,
}

impl<'a> FusedInput<'a> {
    /// Whether a fused pass over these values and `weights` loses no gradient: no input, norm parameter, bias or
    /// residual leads to a variable.
    pub(crate) fn can_fuse(self, weights: &[PackedWeights<'_>]) -> bool {
        let tracked = |x: &Tensor| x.track_op();
        use_kernels(self.x)
            && !tracked(self.x)
            && !self.norm.tensors().into_iter().flatten().any(tracked)
            && !self.residual.is_some_and(tracked)
            && !weights.iter().filter_map(|w| w.bias).any(tracked)
    }
}

/// `norm(x) W^T + b (+ residual)` of each matrix: a `[T, O]` of each. The input is normalized and packed once where all
/// are of one type. For values without gradients, see [`FusedInput::can_fuse`].
pub(crate) fn fused_linear(input: FusedInput<'_>, weights: &[PackedWeights<'_>]) -> Result<Vec<Tensor>> {
    let (t, width) = input.x.dims2()?;
    check_fit(weights, width)?;
    let y = with_plain_values(input, weights, |norm, weights, x, residual| {
        gemm::fused_linear(weights, x, t, norm, residual)
    })?;
    let y = Tensor::from_vec(y, t * outputs(weights), input.x.device())?;
    split_outputs(&y, weights, t)
}

/// `activation(norm(x) W1^T + b1) W2^T + b2 (+ residual)`; SwiGLU takes gate and up as `first`, others one matrix. For
/// values without gradients.
pub(crate) fn fused_mlp(
    input: FusedInput<'_>,
    first: &[PackedWeights<'_>],
    activation: MlpActivation,
    second: PackedWeights<'_>,
) -> Result<Tensor> {
    let (t, width) = input.x.dims2()?;
    check_fit(first, width)?;
    check_fit(&[second], first[0].matrix.dims().0)?;
    let all: Vec<PackedWeights<'_>> = first.iter().copied().chain([second]).collect();
    let y = with_plain_values(input, &all, |norm, all, x, residual| {
        let (second, first) = (all[all.len() - 1], &all[..all.len() - 1]);
        gemm::fused_mlp(first, activation, second, x, t, norm, residual)
    })?;
    Tensor::from_vec(y, (t, second.matrix.dims().0), input.x.device())
}

/// `x W^T + b` of packed matrices: a `[T, O]` of each. Gradients reach `x` and the biases.
pub(crate) fn packed_linear(x: &Tensor, weights: &[PackedWeights<'_>]) -> Result<Vec<Tensor>> {
    let (t, width) = x.dims2()?;
    check_fit(weights, width)?;
    if !use_kernels(x) {
        bail!("packed weights are multiplied on the CPU only; load the model as floats for {:?}", x.device().location())
    }
    let values = |w: &PackedWeights<'_>| {
        // A bias that is learned is added by an operation of its own.
        let bias = w.bias.filter(|bias| !bias.track_op()).map(|b| contiguous_f32(b)?.to_vec1::<f32>()).transpose()?;
        Ok((w.matrix.clone(), bias))
    };
    let op = PackedLinear { all: weights.iter().map(values).collect::<Result<_>>()? };
    let all = split_outputs(&in_f32(x, |x| x.apply_op1(op))?, weights, t)?;
    let learned = |(y, w): (Tensor, &PackedWeights<'_>)| match w.bias.filter(|bias| bias.track_op()) {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    };
    all.into_iter().zip(weights).map(learned).collect()
}

/// The results `[T, O]` of each matrix, which lie one after the other in `y`.
fn split_outputs(y: &Tensor, weights: &[PackedWeights<'_>], t: usize) -> Result<Vec<Tensor>> {
    let mut start = 0;
    let one = |w: &PackedWeights<'_>| {
        let output = w.matrix.dims().0;
        let own = y.narrow(0, start, t * output)?.reshape((t, output));
        start += t * output;
        own
    };
    weights.iter().map(one).collect()
}

fn outputs(weights: &[PackedWeights<'_>]) -> usize {
    weights.iter().map(|w| w.matrix.dims().0).sum()
}

/// Fails when a matrix does not take rows of `input` values, or its bias has another size.
fn check_fit(weights: &[PackedWeights<'_>], input: usize) -> Result<()> {
    for PackedWeights { matrix, bias } in weights {
        if matrix.dims().1 != input || bias.is_some_and(|bias| bias.dims() != [matrix.dims().0]) {
            bail!("linear of rows of {input}, packed w {:?}, b {:?}", matrix.dims(), bias.map(Tensor::dims))
        }
    }
    Ok(())
}

/// Calls `f` with the plain values of all tensors.
fn with_plain_values<R>(
    input: FusedInput<'_>,
    weights: &[PackedWeights<'_>],
    f: impl FnOnce(PreNorm<'_>, &[LinearWeights<'_>], &[f32], Option<&[f32]>) -> R,
) -> Result<R> {
    let norm: Vec<&Tensor> = input.norm.tensors().into_iter().flatten().collect();
    let biases: Vec<&Tensor> = weights.iter().filter_map(|w| w.bias).collect();
    let tensors: Vec<&Tensor> = [&[input.x][..], &norm, &biases].concat().into_iter().chain(input.residual).collect();
    with_values(&tensors, |values| {
        let (x, values) = (values[0], &values[1..]);
        let (norm, values) = values.split_at(norm.len());
        let (biases, residual) = values.split_at(biases.len());
        let norm = match input.norm {
            FusedNorm::None => PreNorm::None,
            FusedNorm::Layer { eps, .. } => PreNorm::LayerNorm { weight: norm[0], bias: norm[1], eps: eps as f32 },
            FusedNorm::Rms { eps, .. } => PreNorm::RmsNorm { weight: norm[0], eps: eps as f32 },
        };
        let mut biases = biases.iter().copied();
        let bias_of = |w: &PackedWeights<'_>| w.bias.and_then(|_| biases.next());
        let biases: Vec<Option<&[f32]>> = weights.iter().map(bias_of).collect();
        let weights: Vec<LinearWeights<'_>> =
            weights.iter().zip(biases).map(|(w, bias)| LinearWeights { weight: w.matrix, bias }).collect();
        f(norm, &weights, x, residual.first().copied())
    })
}

/// `x W^T + b` of several matrices, the results one after the other.
struct PackedLinear {
    all: Vec<(PackedMatrix, Option<Vec<f32>>)>,
}

impl CustomOp1 for PackedLinear {
    fn name(&self) -> &'static str {
        "packed-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let all: Vec<_> =
            self.all.iter().map(|(weight, bias)| LinearWeights { weight, bias: bias.as_deref() }).collect();
        let (x, t) = (f32_slice(x, layout)?, layout.shape().dims2()?.0);
        let y = gemm::fused_linear(&all, x, t, PreNorm::None, None);
        let shape = Shape::from(y.len());
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let t = x.dim(0)?;
        let mut dx = vec![0.0; x.elem_count()];
        with_values(&[dy], |s| {
            let (mut rest, mut part) = (s[0], vec![0.0; dx.len()]);
            for (w, _) in &self.all {
                let (own, others) = rest.split_at(t * w.dims().0);
                w.matmul_backward_input(own, t, &mut part);
                dx.iter_mut().zip(&part).for_each(|(dx, part)| *dx += part);
                rest = others;
            }
        })?;
        Ok(Some(tensor_like(dx, x)?))
    }
}
