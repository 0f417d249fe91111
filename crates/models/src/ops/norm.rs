//! LayerNorm and RMSNorm over the last axis.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, D, DType, Layout, Result, Shape, Tensor};
use zoetrope_kernels::elementwise::norm as kernel;
use zoetrope_kernels::threads::par_new_rows;

use super::tensors::{contiguous_f32, f32_slice, in_f32, is_tracked, tensor_like, use_kernels, with_values};

/// `(x - mean) / sqrt(var + eps) * w + b` over the last axis of `x`.
pub fn layer_norm(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Result<Tensor> {
    if !use_kernels(x) {
        return candle_layer_norm(x, w, b, eps);
    }
    let op = LayerNorm { eps: eps as f32 };
    in_f32(x, |x| x.apply_op3(&contiguous_f32(w)?, &contiguous_f32(b)?, op))
}

/// `x / sqrt(mean(x^2) + eps) * w` over the last axis of `x` (arXiv 1910.07467).
pub fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    if !use_kernels(x) {
        return candle_rms_norm(x, w, eps);
    }
    in_f32(x, |x| x.apply_op2(&contiguous_f32(w)?, RmsNorm { eps: eps as f32 }))
}

pub(super) fn candle_layer_norm(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Result<Tensor> {
    if !is_tracked(&[x, w, b]) {
        return candle_nn::ops::layer_norm(&x.contiguous()?, w, b, eps as f32);
    }
    let dtype = x.dtype();
    let x = x.to_dtype(DType::F32)?;
    let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let x = x.broadcast_div(&(x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?)?;
    x.to_dtype(dtype)?.broadcast_mul(w)?.broadcast_add(b)
}

pub(super) fn candle_rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    if !is_tracked(&[x, w]) {
        return candle_nn::ops::rms_norm(&x.contiguous()?, w, eps as f32);
    }
    let dtype = x.dtype();
    let x = x.to_dtype(DType::F32)?;
    let x = x.broadcast_div(&(x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?)?;
    x.to_dtype(dtype)?.broadcast_mul(w)
}

type Gradients2 = (Option<Tensor>, Option<Tensor>);
type Gradients3 = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

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
        let (x, w, b) = (f32_slice(x, lx)?, f32_slice(w, lw)?, f32_slice(b, lb)?);
        let part =
            |first: usize, y: &mut [f32]| kernel::layer_norm(&x[first * w.len()..][..y.len()], w, b, self.eps, y);
        Ok((CpuStorage::F32(par_new_rows(x.len(), w.len(), part)), lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, b: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients3> {
        let (dx, dw, db) = with_values(&[x, w, dy], |s| {
            let (mut dx, mut dw, mut db) = (vec![0.0; s[0].len()], vec![0.0; s[1].len()], vec![0.0; s[1].len()]);
            kernel::layer_norm_backward(s[0], s[1], self.eps, s[2], &mut dx, &mut dw, &mut db);
            (dx, dw, db)
        })?;
        Ok((Some(tensor_like(dx, x)?), Some(tensor_like(dw, w)?), Some(tensor_like(db, b)?)))
    }
}

struct RmsNorm {
    eps: f32,
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, w) = (f32_slice(x, lx)?, f32_slice(w, lw)?);
        let part = |first: usize, y: &mut [f32]| kernel::rms_norm(&x[first * w.len()..][..y.len()], w, self.eps, y);
        Ok((CpuStorage::F32(par_new_rows(x.len(), w.len(), part)), lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients2> {
        let (dx, dw) = with_values(&[x, w, dy], |s| {
            let (mut dx, mut dw) = (vec![0.0; s[0].len()], vec![0.0; s[1].len()]);
            kernel::rms_norm_backward(s[0], s[1], self.eps, s[2], &mut dx, &mut dw);
            (dx, dw)
        })?;
        Ok((Some(tensor_like(dx, x)?), Some(tensor_like(dw, w)?)))
    }
}
