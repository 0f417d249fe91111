//! The hot operations: our kernels on the CPU (with gradients), candle's own operations elsewhere (see `composite`).
//!
//! Legend: T tokens, H query heads, K key heads, C width of a head, D width of a row.

use std::sync::Arc;

use candle_core::{DType, Result, Tensor, bail};
use zoetrope_kernels::attention::Heads;
use zoetrope_kernels::packed::Kind;

use super::cache::Held;
use super::composite;
use super::custom::{Add, Attention, GeluTanh, LayerNorm, Linear, PackedLinear, RmsNorm, Rope, SwiGlu};
use super::fused::{self, Matrix};

/// Cosines and sines of one rotary embedding, `[T, C/2]` each.
#[derive(Clone, Debug)]
pub struct Rotary {
    pub(super) cos: Arc<Vec<f32>>,
    pub(super) sin: Arc<Vec<f32>>,
    pub(super) half: usize,
}

impl Rotary {
    /// From angles `[T, half]`, row by row.
    pub fn new(angles: &[f32], half: usize) -> Self {
        let (cos, sin): (Vec<f32>, Vec<f32>) = angles.iter().map(|a| (a.cos(), a.sin())).unzip();
        Rotary { cos: Arc::new(cos), sin: Arc::new(sin), half }
    }

    /// That of the last `n` rows.
    pub fn last(&self, n: usize) -> Self {
        let of = |all: &[f32]| Arc::new(all[all.len() - n * self.half..].to_vec());
        Rotary { cos: of(&self.cos), sin: of(&self.sin), half: self.half }
    }
}

/// `x W^T + b` of rows `x` `[T, I]` with `w` `[O, I]` and `b` `[O]`. Types below f32 keep candle's product.
pub fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
    let ((_, input), (output, w_input)) = (x.dims2()?, w.dims2()?);
    if input != w_input || b.is_some_and(|b| b.dims() != [output]) {
        bail!("linear of x {:?}, w {:?}, b {:?}", x.dims(), w.dims(), b.map(Tensor::dims))
    }
    if !ours(x) || x.dtype() != DType::F32 || w.dtype() != DType::F32 {
        return composite::linear(x, w, b);
    }
    let (x, w) = (x.contiguous()?, w.contiguous()?);
    match b {
        Some(b) => x.apply_op3(&w, &contiguous(b)?, Linear),
        None => x.apply_op2(&w, Linear),
    }
}

/// The same with packed matrices of one kind: a `[T, O]` of each. A gradient passes to `x` alone.
pub(super) fn packed_linears(x: &Tensor, all: &[Matrix<'_>]) -> Result<Vec<Tensor>> {
    let (t, input) = x.dims2()?;
    fused::fits(all, input)?;
    let values = |(w, b): &Matrix<'_>| Ok(((*w).clone(), b.map(|b| contiguous(b)?.to_vec1::<f32>()).transpose()?));
    let op = PackedLinear { all: all.iter().map(values).collect::<Result<_>>()? };
    fused::apart(&in_f32(x, |x| x.apply_op1(op))?, all, t)
}

/// `(x - mean) / sqrt(var + eps) * w + b` over the last axis of `x`.
pub fn layer_norm(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Result<Tensor> {
    if !ours(x) {
        return composite::layer_norm(x, w, b, eps);
    }
    let op = LayerNorm { eps: eps as f32 };
    in_f32(x, |x| x.apply_op3(&contiguous(w)?, &contiguous(b)?, op))
}

/// `x / sqrt(mean(x^2) + eps) * w` over the last axis of `x`.
pub fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    if !ours(x) {
        return composite::rms_norm(x, w, eps);
    }
    in_f32(x, |x| x.apply_op2(&contiguous(w)?, RmsNorm { eps: eps as f32 }))
}

/// `x + y` of one shape.
pub fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if !ours(x) || x.dtype() != DType::F32 || x.dims() != y.dims() {
        return x + y;
    }
    x.contiguous()?.apply_op2(&contiguous(y)?, Add)
}

/// GELU in the tanh form.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    if !ours(x) {
        return x.gelu();
    }
    in_f32(x, |x| x.apply_op1(GeluTanh))
}

/// `silu(gate) * up`.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if !ours(gate) {
        return gate.silu()? * up;
    }
    in_f32(gate, |gate| gate.apply_op2(&contiguous(up)?, SwiGlu))
}

/// Rotates `x` `[T, heads, C]`: dimension `j` pairs with `j + C/2`.
pub fn rope(x: &Tensor, rotary: &Rotary) -> Result<Tensor> {
    if !ours(x) {
        return composite::rope(x, rotary);
    }
    let (t, _, c) = x.dims3()?;
    if c != 2 * rotary.half || t * rotary.half != rotary.cos.len() {
        bail!("rotary table of {} angles does not fit rows {:?}", rotary.cos.len(), x.dims())
    }
    in_f32(x, |x| x.apply_op1(Rope { rotary: rotary.clone(), sign: 1.0 }))
}

/// Attention of packed sequences: `q` `[T, H, C]`, `k`, `v` `[S, K, C]` as they are held; `segments` lists (queries,
/// keys) of each. Its products are those of `kind`: f32, or bf16 on a CPU that has them.
///
/// # Errors
/// When sizes do not fit, and when a gradient or another device meets keys and values in int8.
pub fn attention(
    kind: Kind,
    q_thc: &Tensor,
    k_skc: &Held,
    v_skc: &Held,
    segments: &[(usize, usize)],
    causal: bool,
    scale: f64,
) -> Result<Tensor> {
    let scales: Vec<Tensor> = [k_skc, v_skc].into_iter().filter_map(|held| held.scales.clone()).collect();
    let (k_skc, v_skc, columns) = (&k_skc.values, &v_skc.values, &k_skc.columns);
    let (t, heads, dim) = q_thc.dims3()?;
    let (s, kv_heads, k_dim) = k_skc.dims3()?;
    let sums = segments.iter().fold((0, 0), |(a, b), s| (a + s.0, b + s.1));
    if sums != (t, s) || dim != k_dim || v_skc.dims() != k_skc.dims() || kv_heads == 0 || heads % kv_heads != 0 {
        bail!("attention of q {:?}, k {:?}, v {:?} over {sums:?}", q_thc.dims(), k_skc.dims(), v_skc.dims())
    }
    if segments.iter().any(|(q, k)| (causal && q > k) || (*q > 0 && *k == 0)) {
        bail!("attention segments {segments:?} have queries without keys")
    }
    if !scales.is_empty() && (!ours(q_thc) || q_thc.track_op()) {
        bail!("attention over keys and values in int8 is computed on the CPU only, and passes no gradient")
    }
    if !ours(q_thc) {
        let (k_skc, v_skc) = (k_skc.to_dtype(q_thc.dtype())?, v_skc.to_dtype(q_thc.dtype())?);
        return composite::attention(q_thc, &k_skc, &v_skc, segments, causal, scale);
    }
    let heads = Heads { heads, kv_heads, dim, causal, scale: scale as f32 };
    let op = Attention { segments: segments.to_vec(), heads, kind, scales };
    in_f32(q_thc, |q| times_columns(q, columns.as_ref())?.apply_op3(&readable(k_skc)?, &readable(v_skc)?, op))
}

/// Queries `[T, H, C]` times what the columns `[K, C]` of their keys are to be multiplied with.
fn times_columns(q_thc: &Tensor, columns_kc: Option<&Tensor>) -> Result<Tensor> {
    let Some(columns_kc) = columns_kc else { return Ok(q_thc.clone()) };
    let ((t, heads, c), kv_heads) = (q_thc.dims3()?, columns_kc.dim(0)?);
    let by_key = q_thc.reshape((t, kv_heads, heads / kv_heads, c))?;
    by_key.broadcast_mul(&columns_kc.unsqueeze(1)?)?.reshape((t, heads, c))
}

fn ours(x: &Tensor) -> bool {
    x.device().is_cpu()
}

/// Our kernels compute in f32; other types go through it and back.
fn in_f32(x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let dtype = x.dtype();
    f(&contiguous(x)?)?.to_dtype(dtype)
}

/// Keys or values as attention reads them: bf16 and whole numbers stay as they are.
fn readable(x: &Tensor) -> Result<Tensor> {
    if matches!(x.dtype(), DType::BF16 | DType::U8) { x.contiguous() } else { contiguous(x) }
}

pub(super) fn contiguous(x: &Tensor) -> Result<Tensor> {
    x.to_dtype(DType::F32)?.contiguous()
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn var(shape: &[usize], phase: f32) -> Var {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.61 + phase).sin()).collect();
        Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
    }

    fn held(x: &Var) -> Held {
        x.as_tensor().clone().into()
    }

    /// Values and gradients of `fast` equal those of `slow` (candle's own operations), f32 rounding apart.
    fn same(vars: &[&Var], fast: &dyn Fn() -> Tensor, slow: &dyn Fn() -> Tensor) {
        let weigh = |y: &Tensor| (y * var(y.dims(), 9.0).as_tensor()).unwrap().sum_all().unwrap();
        let (a, b) = (fast(), slow());
        let apart = |a: &Tensor, b: &Tensor| {
            (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap()
        };
        assert!(apart(&a, &b) < 1e-5);
        let (ga, gb) = (weigh(&a).backward().unwrap(), weigh(&b).backward().unwrap());
        for v in vars {
            let difference = apart(ga.get(v).unwrap(), gb.get(v).unwrap());
            assert!(difference < 2e-5, "gradient of {:?} differs by {difference}", v.dims());
        }
    }

    #[test]
    fn kernels_agree_with_candle_on_values_and_gradients() {
        let (x, w, b) = (var(&[5, 12], 0.0), var(&[12], 1.0), var(&[12], 2.0));
        let (m, c) = (var(&[7, 12], 1.5), var(&[7], 2.5));
        same(&[&x, &m, &c], &|| linear(&x, &m, Some(&c)).unwrap(), &|| composite::linear(&x, &m, Some(&c)).unwrap());
        same(&[&x, &m], &|| linear(&x, &m, None).unwrap(), &|| composite::linear(&x, &m, None).unwrap());
        same(&[&x, &w, &b], &|| layer_norm(&x, &w, &b, 1e-6).unwrap(), &|| {
            composite::layer_norm(&x, &w, &b, 1e-6).unwrap()
        });
        same(&[&x, &w], &|| rms_norm(&x, &w, 1e-6).unwrap(), &|| composite::rms_norm(&x, &w, 1e-6).unwrap());
        same(&[&x, &x], &|| add(&x, &x.sqr().unwrap()).unwrap(), &|| (x.as_tensor() + x.sqr().unwrap()).unwrap());
        same(&[&x], &|| gelu_tanh(&x).unwrap(), &|| x.gelu().unwrap());
        let up = var(&[5, 12], 3.0);
        same(&[&x, &up], &|| swiglu(&x, &up).unwrap(), &|| (x.silu().unwrap() * up.as_tensor()).unwrap());
        let (q, k, v) = (var(&[9, 4, 6], 0.0), var(&[9, 2, 6], 1.0), var(&[9, 2, 6], 2.0));
        let angles: Vec<f32> = (0..27).map(|i| i as f32 * 0.2).collect();
        let rotary = Rotary::new(&angles, 3);
        same(&[&q], &|| rope(&q, &rotary).unwrap(), &|| composite::rope(&q, &rotary).unwrap());
        for causal in [false, true] {
            let s = [(4, 4), (5, 5)];
            same(&[&q, &k, &v], &|| attention(Kind::F32, &q, &held(&k), &held(&v), &s, causal, 0.4).unwrap(), &|| {
                composite::attention(&q, &k, &v, &s, causal, 0.4).unwrap()
            });
        }
    }

    #[test]
    fn other_types_go_through_f32_and_back() {
        let x = var(&[3, 8], 0.0).to_dtype(DType::BF16).unwrap();
        let w = var(&[8], 1.0).to_dtype(DType::BF16).unwrap();
        assert_eq!(rms_norm(&x, &w, 1e-6).unwrap().dtype(), DType::BF16);
    }

    #[test]
    fn sizes_that_do_not_fit_are_errors() {
        let (q, k) = (var(&[3, 4, 6], 0.0), var(&[3, 3, 6], 1.0));
        assert!(attention(Kind::F32, &q, &held(&k), &held(&k), &[(3, 3)], true, 1.0).is_err());
        let k = var(&[2, 2, 6], 1.0);
        assert!(attention(Kind::F32, &q, &held(&k), &held(&k), &[(3, 2)], true, 1.0).is_err());
        assert!(rope(&q, &Rotary::new(&[0.0; 3], 3)).is_err());
    }
}
