//! Our kernels as candle's custom operations, forward and backward, on f32 CPU tensors; `ops` is their door.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};
use half::slice::HalfFloatSliceExt;
use zoetrope_kernels::attention::{self as kernel, Heads, Int8, Stored};
use zoetrope_kernels::packed::{self, Affine, Before, Kind, Packed};
use zoetrope_kernels::spread::new_rows;
use zoetrope_kernels::{activation, linear as linear_kernel, norm, rope as rope_kernel};

use super::ops::{Rotary, contiguous};

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("kernel input must be contiguous"),
    }
}

/// Keys or values: bf16 and, with scales, whole numbers as they are.
fn stored<'a>(storage: &'a CpuStorage, layout: &Layout, scales: Option<&'a [f32]>) -> Result<Stored<'a>> {
    match (storage, layout.contiguous_offsets(), scales) {
        (CpuStorage::BF16(values), Some((start, end)), None) => Ok(Stored::Bf16(values[start..end].reinterpret_cast())),
        (CpuStorage::U8(bits), Some((start, end)), Some(scales)) => {
            Ok(Stored::Int8(Int8 { bits: &bits[start..end], scales }))
        }
        _ => Ok(Stored::F32(slice(storage, layout)?)),
    }
}

/// `f` of the values of two tensors of one shape, element by element, on all threads.
fn pairwise(
    (a, la): (&CpuStorage, &Layout),
    (b, lb): (&CpuStorage, &Layout),
    f: fn(&[f32], &[f32], &mut [f32]),
) -> Result<(CpuStorage, Shape)> {
    let (a, b) = (slice(a, la)?, slice(b, lb)?);
    let part = |first: usize, y: &mut [f32]| {
        let own = first..first + y.len();
        f(&a[own.clone()], &b[own], y);
    };
    Ok((CpuStorage::F32(new_rows(a.len(), 1, part)), la.shape().clone()))
}

/// Runs `f` on the values of contiguous f32 CPU tensors.
pub(super) fn read<R>(tensors: &[&Tensor], f: impl FnOnce(&[&[f32]]) -> R) -> Result<R> {
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

/// `x W^T` and, of three inputs, `x W^T + b`.
pub(super) struct Linear;

impl Linear {
    fn forward(x: &[f32], lx: &Layout, w: &[f32], lw: &Layout, b: Option<&[f32]>) -> Result<(CpuStorage, Shape)> {
        let ((t, input), (output, _)) = (lx.shape().dims2()?, lw.shape().dims2()?);
        let mut y = vec![0.0; t * output];
        linear_kernel::linear(x, w, b, t, input, &mut y);
        Ok((CpuStorage::F32(y), (t, output).into()))
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

/// `x W^T + b` of several matrices, the results one after the other in one row of values.
pub(super) struct PackedLinear {
    pub(super) all: Vec<(Packed, Option<Vec<f32>>)>,
}

impl CustomOp1 for PackedLinear {
    fn name(&self) -> &'static str {
        "packed-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let all: Vec<_> = self.all.iter().map(|(weight, bias)| Affine { weight, bias: bias.as_deref() }).collect();
        let (x, t) = (slice(x, layout)?, layout.shape().dims2()?.0);
        let y = packed::products(&all, x, t, Before::Keep, None);
        let shape = Shape::from(y.len());
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let t = x.dim(0)?;
        let mut dx = vec![0.0; x.elem_count()];
        read(&[dy], |s| {
            let (mut rest, mut part) = (s[0], vec![0.0; dx.len()]);
            for (w, _) in &self.all {
                let (own, others) = rest.split_at(t * w.dims().0);
                w.multiply_transposed(own, t, &mut part);
                dx.iter_mut().zip(&part).for_each(|(dx, part)| *dx += part);
                rest = others;
            }
        })?;
        Ok(Some(tensor(dx, x)?))
    }
}

pub(super) struct Add;

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, y: &CpuStorage, ly: &Layout) -> Result<(CpuStorage, Shape)> {
        pairwise((x, lx), (y, ly), activation::add)
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients2> {
        Ok((Some(dy.clone()), Some(dy.clone())))
    }
}

pub(super) struct LayerNorm {
    pub(super) eps: f32,
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
        let part = |first: usize, y: &mut [f32]| norm::layer_norm(&x[first * w.len()..][..y.len()], w, b, self.eps, y);
        Ok((CpuStorage::F32(new_rows(x.len(), w.len(), part)), lx.shape().clone()))
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

pub(super) struct RmsNorm {
    pub(super) eps: f32,
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, w) = (slice(x, lx)?, slice(w, lw)?);
        let part = |first: usize, y: &mut [f32]| norm::rms_norm(&x[first * w.len()..][..y.len()], w, self.eps, y);
        Ok((CpuStorage::F32(new_rows(x.len(), w.len(), part)), lx.shape().clone()))
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

pub(super) struct GeluTanh;

impl CustomOp1 for GeluTanh {
    fn name(&self) -> &'static str {
        "gelu-tanh"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(x, layout)?;
        let part = |first: usize, y: &mut [f32]| activation::gelu_tanh(&x[first..][..y.len()], y);
        Ok((CpuStorage::F32(new_rows(x.len(), 1, part)), layout.shape().clone()))
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

pub(super) struct SwiGlu;

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, g: &CpuStorage, lg: &Layout, u: &CpuStorage, lu: &Layout) -> Result<(CpuStorage, Shape)> {
        pairwise((g, lg), (u, lu), activation::swiglu)
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

pub(super) struct Rope {
    pub(super) rotary: Rotary,
    pub(super) sign: f32,
}

impl Rope {
    fn rotate(&self, x: &[f32], heads: usize) -> Vec<f32> {
        let (r, row) = (&self.rotary, heads * 2 * self.rotary.half);
        new_rows(x.len(), row, |first, y| {
            let angles = first * r.half..(first + y.len() / row) * r.half;
            let (cos, sin) = (&r.cos[angles.clone()], &r.sin[angles]);
            rope_kernel::rope(&x[first * row..][..y.len()], cos, sin, heads, r.half, self.sign, y);
        })
    }
}

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let heads = layout.shape().dims3()?.1;
        let x = slice(x, layout)?;
        Ok((CpuStorage::F32(self.rotate(x, heads)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let heads = x.dims3()?.1;
        let back = Rope { rotary: self.rotary.clone(), sign: -self.sign };
        let dx = read(&[dy], |s| back.rotate(s[0], heads))?;
        Ok(Some(tensor(dx, x)?))
    }
}

pub(super) struct Attention {
    pub(super) segments: Vec<(usize, usize)>,
    pub(super) heads: Heads,
    /// In what the products are computed.
    pub(super) kind: Kind,
    /// Those of keys and of values that are whole numbers, `[S, K]` each; else none.
    pub(super) scales: Vec<Tensor>,
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
        let q = slice(q, lq)?;
        read(&self.scales.iter().collect::<Vec<_>>(), |scales| {
            let of = |n: usize| scales.get(n).copied();
            let (k, v) = (stored(k, lk, of(0))?, stored(v, lv, of(1))?);
            let y = kernel::attention(self.kind, q, k, v, &self.segments, &self.heads);
            Ok((CpuStorage::F32(y), lq.shape().clone()))
        })?
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
