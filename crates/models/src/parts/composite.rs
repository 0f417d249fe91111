//! The operations of `ops` in candle's own terms: used on accelerators, and the reference for our kernels in tests.

use candle_core::{D, DType, Result, Tensor};

use super::ops::Rotary;

pub(super) fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
    let y = x.matmul(&w.t()?)?;
    match b {
        Some(b) => y.broadcast_add(b),
        None => Ok(y),
    }
}

pub(super) fn layer_norm(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Result<Tensor> {
    let dtype = x.dtype();
    let x = x.to_dtype(DType::F32)?;
    let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let x = x.broadcast_div(&(x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?)?;
    x.to_dtype(dtype)?.broadcast_mul(w)?.broadcast_add(b)
}

pub(super) fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    let dtype = x.dtype();
    let x = x.to_dtype(DType::F32)?;
    let x = x.broadcast_div(&(x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?)?;
    x.to_dtype(dtype)?.broadcast_mul(w)
}

pub(super) fn rope(x_thc: &Tensor, rotary: &Rotary) -> Result<Tensor> {
    let (t, _, c) = x_thc.dims3()?;
    let table = |values: &[f32]| {
        Tensor::from_slice(values, (t, 1, c / 2), x_thc.device())?.repeat((1, 1, 2))?.to_dtype(x_thc.dtype())
    };
    let (cos, sin) = (table(&rotary.cos)?, table(&rotary.sin)?);
    let (left, right) = (x_thc.narrow(2, 0, c / 2)?, x_thc.narrow(2, c / 2, c / 2)?);
    let turned = Tensor::cat(&[&right.neg()?, &left], 2)?;
    x_thc.broadcast_mul(&cos)? + turned.broadcast_mul(&sin)?
}

pub(super) fn attention(
    q_thc: &Tensor,
    k_skc: &Tensor,
    v_skc: &Tensor,
    segments: &[(usize, usize)],
    causal: bool,
    scale: f64,
) -> Result<Tensor> {
    let group = q_thc.dim(1)? / k_skc.dim(1)?;
    let (mut first_query, mut first_key, mut parts) = (0, 0, Vec::new());
    for &(queries, keys) in segments {
        let q = q_thc.narrow(0, first_query, queries)?.transpose(0, 1)?.contiguous()?;
        let k = spread(&k_skc.narrow(0, first_key, keys)?, group)?;
        let v = spread(&v_skc.narrow(0, first_key, keys)?, group)?;
        let mut scores = (q.matmul(&k.transpose(1, 2)?.contiguous()?)?.to_dtype(DType::F32)? * scale)?;
        if causal && queries > 1 {
            scores = scores.broadcast_add(&mask(queries, keys, q_thc)?)?;
        }
        let max = scores.max_keepdim(D::Minus1)?.detach();
        let weights = scores.broadcast_sub(&max)?.exp()?;
        let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?.to_dtype(v.dtype())?;
        parts.push(weights.matmul(&v)?.transpose(0, 1)?.contiguous()?);
        first_query += queries;
        first_key += keys;
    }
    Tensor::cat(&parts, 0)
}

/// `[S, K, C]` to `[H, S, C]`, every key head repeated for the query heads of its group.
fn spread(x_skc: &Tensor, group: usize) -> Result<Tensor> {
    let (s, k, c) = x_skc.dims3()?;
    let x = x_skc.transpose(0, 1)?.contiguous()?;
    x.unsqueeze(1)?.broadcast_as((k, group, s, c))?.reshape((k * group, s, c))
}

fn mask(queries: usize, keys: usize, like: &Tensor) -> Result<Tensor> {
    let seen = |i: usize| keys - queries + i;
    let values: Vec<f32> =
        (0..queries).flat_map(|i| (0..keys).map(move |j| if j > seen(i) { f32::NEG_INFINITY } else { 0.0 })).collect();
    Tensor::from_vec(values, (queries, keys), like.device())
}
