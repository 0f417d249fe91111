//! The hot operations: our kernels on the CPU (with gradients), candle's own operations elsewhere (see `composite`).
//!
//! Legend: T tokens, H query heads, K key heads, C width of a head, D width of a row.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, bail};
use zoetrope_kernels::attention::{self as kernel, Heads};
use zoetrope_kernels::{activation, linear as linear_kernel, norm, rope as rope_kernel};

use super::composite;

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

/// Attention of packed sequences: `q` `[T, H, C]`, `k`, `v` `[S, K, C]`; `segments` lists (queries, keys) of each.
pub fn attention(
    q_thc: &Tensor,
    k_skc: &Tensor,
    v_skc: &Tensor,
    segments: &[(usize, usize)],
    causal: bool,
    scale: f64,
) -> Result<Tensor> {
    let (t, heads, dim) = q_thc.dims3()?;
    let (s, kv_heads, k_dim) = k_skc.dims3()?;
    let sums = segments.iter().fold((0, 0), |(a, b), s| (a + s.0, b + s.1));
    if sums != (t, s) || dim != k_dim || v_skc.dims() != k_skc.dims() || kv_heads == 0 || heads % kv_heads != 0 {
        bail!("attention of q {:?}, k {:?}, v {:?} over {sums:?}", q_thc.dims(), k_skc.dims(), v_skc.dims())
    }
    if segments.iter().any(|(q, k)| (causal && q > k) || (*q > 0 && *k == 0)) {
        bail!("attention segments {segments:?} have queries without keys")
    }
    if !ours(q_thc) {
        return composite::attention(q_thc, k_skc, v_skc, segments, causal, scale);
    }
    let heads = Heads { heads, kv_heads, dim, causal, scale: scale as f32 };
    let op = Attention { segments: segments.to_vec(), heads };
    in_f32(q_thc, |q| q.apply_op3(&contiguous(k_skc)?, &contiguous(v_skc)?, op))
}

fn ours(x: &Tensor) -> bool {
    x.device().is_cpu()
}

/// Our kernels compute in f32; other types go through it and back.
fn in_f32(x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let dtype = x.dtype();
    f(&contiguous(x)?)?.to_dtype(dtype)
}

fn contiguous(x: &Tensor) -> Result<Tensor> {
    x.to_dtype(DType::F32)?.contiguous()
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("kernel input must be contiguous"),
    }
}

fn filled(n: usize, f: impl FnOnce(&mut [f32])) -> CpuStorage {
    let mut out = vec![0.0f32; n];
    f(&mut out);
    CpuStorage::F32(out)
}

/// Runs `f` on the values of contiguous f32 CPU tensors.
fn read<R>(tensors: &[&Tensor], f: impl FnOnce(&[&[f32]]) -> R) -> Result<R> {
    let tensors = tensors.iter().map(|t| contiguous(t)).collect::<Result<Vec<_>>>()?;
    let guards: Vec<_> = tensors.iter().map(|t| t.storage_and_layout()).collect();
    let mut slices = Vec::with_capacity(guards.len());
    for (storage, layout) in &guards {
        match &**storage {
            Storage::Cpu(storage) => slices.push(slice(storage, layout)?),
            _ => bail!("kernel gradient needs CPU tensors"),
        }
    }
    Ok(f(&slices))
}

fn tensor(values: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, like.shape(), like.device())
}

struct Linear;

impl Linear {
    fn forward(x: &[f32], lx: &Layout, w: &[f32], lw: &Layout, b: Option<&[f32]>) -> Result<(CpuStorage, Shape)> {
        let ((t, input), (output, _)) = (lx.shape().dims2()?, lw.shape().dims2()?);
        let run = |y: &mut [f32]| linear_kernel::linear(x, w, b, t, input, y);
        Ok((filled(t * output, run), (t, output).into()))
    }

    /// Gradients to `x` (when somebody learns from it) and `w`.
    fn backward(x: &Tensor, w: &Tensor, dy: &Tensor) -> Result<Gradients2> {
        let (t, input) = x.dims2()?;
        let mut dw = vec![0.0; w.elem_count()];
        read(&[x, dy], |s| linear_kernel::linear_backward_weight(s[1], s[0], t, input, &mut dw))?;
        if !x.track_op() {
            return Ok((None, Some(tensor(dw, w)?)));
        }
        let mut dx = vec![0.0; x.elem_count()];
        read(&[w, dy], |s| linear_kernel::linear_backward_input(s[1], s[0], t, input, &mut dx))?;
        Ok((Some(tensor(dx, x)?), Some(tensor(dw, w)?)))
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        Linear::forward(slice(x, lx)?, lx, slice(w, lw)?, lw, None)
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients2> {
        Linear::backward(x, w, dy)
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear-bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Linear::forward(slice(x, lx)?, lx, slice(w, lw)?, lw, Some(slice(b, lb)?))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, b: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients3> {
        let (dx, dw) = Linear::backward(x, w, dy)?;
        let mut db = vec![0.0; b.elem_count()];
        read(&[dy], |s| linear_kernel::linear_backward_bias(s[0], &mut db))?;
        Ok((dx, dw, Some(tensor(db, b)?)))
    }
}

struct LayerNorm {
    eps: f32,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w, b) = (slice(x, lx)?, slice(w, lw)?, slice(b, lb)?);
        Ok((filled(x.len(), |y| norm::layer_norm(x, w, b, self.eps, y)), lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, b: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients3> {
        let (dx, dw, db) = read(&[x, w, dy], |s| {
            let (mut dx, mut dw, mut db) = (vec![0.0; s[0].len()], vec![0.0; s[1].len()], vec![0.0; s[1].len()]);
            norm::layer_norm_backward(s[0], s[1], self.eps, s[2], &mut dx, &mut dw, &mut db);
            (dx, dw, db)
        })?;
        Ok((Some(tensor(dx, x)?), Some(tensor(dw, w)?), Some(tensor(db, b)?)))
    }
}

type Gradients2 = (Option<Tensor>, Option<Tensor>);
type Gradients3 = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

struct RmsNorm {
    eps: f32,
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, w) = (slice(x, lx)?, slice(w, lw)?);
        Ok((filled(x.len(), |y| norm::rms_norm(x, w, self.eps, y)), lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients2> {
        let (dx, dw) = read(&[x, w, dy], |s| {
            let (mut dx, mut dw) = (vec![0.0; s[0].len()], vec![0.0; s[1].len()]);
            norm::rms_norm_backward(s[0], s[1], self.eps, s[2], &mut dx, &mut dw);
            (dx, dw)
        })?;
        Ok((Some(tensor(dx, x)?), Some(tensor(dw, w)?)))
    }
}

struct GeluTanh;

impl CustomOp1 for GeluTanh {
    fn name(&self) -> &'static str {
        "gelu-tanh"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(x, layout)?;
        Ok((filled(x.len(), |y| activation::gelu_tanh(x, y)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dx = read(&[x, dy], |s| {
            let mut dx = vec![0.0; s[0].len()];
            activation::gelu_tanh_backward(s[0], s[1], &mut dx);
            dx
        })?;
        Ok(Some(tensor(dx, x)?))
    }
}

struct SwiGlu;

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, g: &CpuStorage, lg: &Layout, u: &CpuStorage, lu: &Layout) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (slice(g, lg)?, slice(u, lu)?);
        Ok((filled(gate.len(), |y| activation::swiglu(gate, up, y)), lg.shape().clone()))
    }

    fn bwd(&self, gate: &Tensor, up: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients2> {
        let (dg, du) = read(&[gate, up, dy], |s| {
            let (mut dg, mut du) = (vec![0.0; s[0].len()], vec![0.0; s[0].len()]);
            activation::swiglu_backward(s[0], s[1], s[2], &mut dg, &mut du);
            (dg, du)
        })?;
        Ok((Some(tensor(dg, gate)?), Some(tensor(du, up)?)))
    }
}

struct Rope {
    rotary: Rotary,
    sign: f32,
}

impl Rope {
    fn rotate(&self, x: &[f32], heads: usize, y: &mut [f32]) {
        let r = &self.rotary;
        rope_kernel::rope(x, &r.cos, &r.sin, heads, r.half, self.sign, y);
    }
}

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let heads = layout.shape().dims3()?.1;
        let x = slice(x, layout)?;
        Ok((filled(x.len(), |y| self.rotate(x, heads, y)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let heads = x.dims3()?.1;
        let back = Rope { rotary: self.rotary.clone(), sign: -self.sign };
        let dx = read(&[dy], |s| {
            let mut dx = vec![0.0; s[0].len()];
            back.rotate(s[0], heads, &mut dx);
            dx
        })?;
        Ok(Some(tensor(dx, x)?))
    }
}

struct Attention {
    segments: Vec<(usize, usize)>,
    heads: Heads,
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        lq: &Layout,
        k: &CpuStorage,
        lk: &Layout,
        v: &CpuStorage,
        lv: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (slice(q, lq)?, slice(k, lk)?, slice(v, lv)?);
        let run = |y: &mut [f32]| kernel::attention(q, k, v, &self.segments, &self.heads, y);
        Ok((filled(q.len(), run), lq.shape().clone()))
    }

    fn bwd(&self, q: &Tensor, k: &Tensor, v: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients3> {
        let (dq, dk, dv) = read(&[q, k, v, dy], |s| {
            let (mut dq, mut dk, mut dv) = (vec![0.0; s[0].len()], vec![0.0; s[1].len()], vec![0.0; s[2].len()]);
            let (seg, h) = (&self.segments, &self.heads);
            kernel::attention_backward(s[0], s[1], s[2], s[3], seg, h, &mut dq, &mut dk, &mut dv);
            (dq, dk, dv)
        })?;
        Ok((Some(tensor(dq, q)?), Some(tensor(dk, k)?), Some(tensor(dv, v)?)))
    }
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
        same(&[&x], &|| gelu_tanh(&x).unwrap(), &|| x.gelu().unwrap());
        let up = var(&[5, 12], 3.0);
        same(&[&x, &up], &|| swiglu(&x, &up).unwrap(), &|| (x.silu().unwrap() * up.as_tensor()).unwrap());
        let (q, k, v) = (var(&[9, 4, 6], 0.0), var(&[9, 2, 6], 1.0), var(&[9, 2, 6], 2.0));
        let angles: Vec<f32> = (0..27).map(|i| i as f32 * 0.2).collect();
        let rotary = Rotary::new(&angles, 3);
        same(&[&q], &|| rope(&q, &rotary).unwrap(), &|| composite::rope(&q, &rotary).unwrap());
        for causal in [false, true] {
            let s = [(4, 4), (5, 5)];
            same(&[&q, &k, &v], &|| attention(&q, &k, &v, &s, causal, 0.4).unwrap(), &|| {
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
        assert!(attention(&q, &k, &k, &[(3, 3)], true, 1.0).is_err());
        let k = var(&[2, 2, 6], 1.0);
        assert!(attention(&q, &k, &k, &[(3, 2)], true, 1.0).is_err());
        assert!(rope(&q, &Rotary::new(&[0.0; 3], 3)).is_err());
    }
}
