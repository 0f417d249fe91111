//! Elementwise operations: residual addition, GELU, SwiGLU.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Layout, Result, Shape, Tensor};
use zoetrope_kernels::elementwise::{self, activation as kernel};
use zoetrope_kernels::threads::par_new_rows;

use super::tensors::{contiguous_f32, f32_slice, in_f32, tensor_like, use_kernels, with_values};

/// `x + y` of one shape.
pub fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if !use_kernels(x) || x.dtype() != DType::F32 || x.dims() != y.dims() {
        return x + y;
    }
    x.contiguous()?.apply_op2(&contiguous_f32(y)?, Add)
}

/// GELU in the tanh form.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    if !use_kernels(x) {
        return x.gelu();
    }
    in_f32(x, |x| x.apply_op1(GeluTanh))
}

/// GELU with the error function; candle's on every device.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    x.gelu_erf()
}

/// `silu(gate) * up` (arXiv 2002.05202).
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if !use_kernels(gate) {
        return gate.silu()? * up;
    }
    in_f32(gate, |gate| gate.apply_op2(&contiguous_f32(up)?, SwiGlu))
}

/// `f` of the values of two tensors of one shape, element by element, on all threads.
fn pairwise(
    (a, la): (&CpuStorage, &Layout),
    (b, lb): (&CpuStorage, &Layout),
    f: fn(&[f32], &[f32], &mut [f32]),
) -> Result<(CpuStorage, Shape)> {
    let (a, b) = (f32_slice(a, la)?, f32_slice(b, lb)?);
    let part = |first: usize, y: &mut [f32]| {
        let own = first..first + y.len();
        f(&a[own.clone()], &b[own], y);
    };
    Ok((CpuStorage::F32(par_new_rows(a.len(), 1, part)), la.shape().clone()))
}

type Gradients2 = (Option<Tensor>, Option<Tensor>);

struct Add;

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, y: &CpuStorage, ly: &Layout) -> Result<(CpuStorage, Shape)> {
        pairwise((x, lx), (y, ly), elementwise::add)
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients2> {
        Ok((Some(dy.clone()), Some(dy.clone())))
    }
}

struct GeluTanh;

impl CustomOp1 for GeluTanh {
    fn name(&self) -> &'static str {
        "gelu-tanh"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = f32_slice(x, layout)?;
        let part = |first: usize, y: &mut [f32]| kernel::gelu_tanh(&x[first..][..y.len()], y);
        Ok((CpuStorage::F32(par_new_rows(x.len(), 1, part)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dx = with_values(&[x, dy], |s| {
            let mut dx = vec![0.0; s[0].len()];
            kernel::gelu_tanh_backward(s[0], s[1], &mut dx);
            dx
        })?;
        Ok(Some(tensor_like(dx, x)?))
    }
}

struct SwiGlu;

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, g: &CpuStorage, lg: &Layout, u: &CpuStorage, lu: &Layout) -> Result<(CpuStorage, Shape)> {
        pairwise((g, lg), (u, lu), kernel::swiglu)
    }

    fn bwd(&self, gate: &Tensor, up: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients2> {
        let (dg, du) = with_values(&[gate, up, dy], |s| {
            let (mut dg, mut du) = (vec![0.0; s[0].len()], vec![0.0; s[0].len()]);
            kernel::swiglu_backward(s[0], s[1], s[2], &mut dg, &mut du);
            (dg, du)
        })?;
        Ok((Some(tensor_like(dg, gate)?), Some(tensor_like(du, up)?)))
    }
}
