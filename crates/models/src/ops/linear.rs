//! `x W^T + b` with float weights, in f32 or in mixed precision.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use zoetrope_kernels::dense as kernel;

use super::gradients::variable_gradient;
use super::tensors::{contiguous_f32, f32_slice, tensor_like, use_kernels, with_values};

/// `x W^T + b` of rows `x` `[T, I]` with `w` `[O, I]` and `b` `[O]`; differentiable in all three. On the CPU f32 goes
/// to our kernels and other types to candle's product.
///
/// # Errors
/// When the shapes do not fit; the message has all of them.
pub fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
    check(x, w, b)?;
    if !use_kernels(x) || x.dtype() != DType::F32 || w.dtype() != DType::F32 {
        return candle_linear(x, w, b);
    }
    apply(x, w, b, Linear { factors: Factors::F32 })
}

/// As [`linear`] with f32 weights whose products are of values rounded to bf16, with f32 sums, also those of the
/// gradients: mixed precision with f32 master weights (arXiv 1710.03740).
///
/// # Errors
/// As [`linear`].
pub fn linear_bf16(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
    check(x, w, b)?;
    if use_kernels(x) {
        return apply(&x.to_dtype(DType::F32)?, w, b, Linear { factors: Factors::Bf16 });
    }
    let [x_rounded, w_rounded] = [x.to_dtype(DType::BF16)?, w.to_dtype(DType::BF16)?];
    if x.device().is_cpu() {
        return candle_linear(&x_rounded.to_dtype(DType::F32)?, &w_rounded.to_dtype(DType::F32)?, b);
    }
    let y = candle_linear(&x_rounded, &w_rounded, None)?.to_dtype(x.dtype())?;
    match b {
        Some(b) => y.broadcast_add(b),
        None => Ok(y),
    }
}

fn check(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<()> {
    let ((_, input), (output, w_input)) = (x.dims2()?, w.dims2()?);
    if input != w_input || b.is_some_and(|b| b.dims() != [output]) {
        bail!("linear of x {:?}, w {:?}, b {:?}", x.dims(), w.dims(), b.map(Tensor::dims))
    }
    Ok(())
}

fn apply(x: &Tensor, w: &Tensor, b: Option<&Tensor>, op: Linear) -> Result<Tensor> {
    let (x, w) = (x.contiguous()?, w.contiguous()?);
    match b {
        Some(b) => x.apply_op3(&w, &contiguous_f32(b)?, op),
        None => x.apply_op2(&w, op),
    }
}

pub(super) fn candle_linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
    let y = x.matmul(&w.t()?)?;
    match b {
        Some(b) => y.broadcast_add(b),
        None => Ok(y),
    }
}

/// What the factors of products are.
#[derive(Clone, Copy)]
enum Factors {
    F32,
    /// Rounded to bf16.
    Bf16,
}

struct Linear {
    factors: Factors,
}

type Gradients2 = (Option<Tensor>, Option<Tensor>);
type Gradients3 = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

impl Linear {
    fn forward(
        &self,
        x: &[f32],
        lx: &Layout,
        w: &[f32],
        lw: &Layout,
        b: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let ((t, input), (output, _)) = (lx.shape().dims2()?, lw.shape().dims2()?);
        let mut y = vec![0.0; t * output];
        match self.factors {
            Factors::F32 => kernel::linear(x, w, b, t, input, &mut y),
            Factors::Bf16 => kernel::linear_bf16(x, w, b, t, input, &mut y),
        }
        Ok((CpuStorage::F32(y), (t, output).into()))
    }

    /// Gradients to `x` and `w`, each only when something upstream of it is a variable.
    fn backward(&self, x: &Tensor, w: &Tensor, dy: &Tensor) -> Result<Gradients2> {
        let (t, input) = x.dims2()?;
        let by_weight = |dw: &mut [f32], accumulate: bool| {
            let product = match self.factors {
                Factors::F32 => kernel::linear_backward_weight,
                Factors::Bf16 => kernel::linear_bf16_backward_weight,
            };
            with_values(&[x, dy], |s| product(s[1], s[0], t, input, dw, accumulate))
        };
        let dw = if w.track_op() { variable_gradient(w, by_weight)? } else { None };
        let dx = x.track_op().then(|| {
            let mut dx = vec![0.0; x.elem_count()];
            let product = match self.factors {
                Factors::F32 => kernel::linear_backward_input,
                Factors::Bf16 => kernel::linear_bf16_backward_input,
            };
            with_values(&[w, dy], |s| product(s[1], s[0], t, input, &mut dx))?;
            tensor_like(dx, x)
        });
        Ok((dx.transpose()?, dw))
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward(f32_slice(x, lx)?, lx, f32_slice(w, lw)?, lw, None)
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients2> {
        self.backward(x, w, dy)
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
        self.forward(f32_slice(x, lx)?, lx, f32_slice(w, lw)?, lw, Some(f32_slice(b, lb)?))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, b: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients3> {
        let (dx, dw) = self.backward(x, w, dy)?;
        if !b.track_op() {
            return Ok((dx, dw, None));
        }
        let mut db = vec![0.0; b.elem_count()];
        with_values(&[dy], |s| kernel::linear_backward_bias(s[0], &mut db))?;
        Ok((dx, dw, Some(tensor_like(db, b)?)))
    }
}
