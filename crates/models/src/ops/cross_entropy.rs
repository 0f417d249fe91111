//! Cross entropy of logits with classes.

use candle_core::{CpuStorage, CustomOp1, D, DType, Layout, Result, Shape, Tensor, bail};
use zoetrope_kernels::elementwise::cross_entropy as kernel;
use zoetrope_kernels::threads::par_new_rows;

use super::tensors::{contiguous_f32, f32_slice, tensor_like, use_kernels, with_values};

/// Cross entropies `[R, 1]` of the rows of `logits` `[R, C]` with the classes `targets`, in nats and f32;
/// differentiable.
///
/// # Errors
/// When there is not one target below `C` for each row.
pub fn cross_entropy(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    if targets.len() != rows || targets.iter().any(|target| *target as usize >= classes) {
        bail!("{} targets for {rows} rows of {classes} classes", targets.len())
    }
    if !use_kernels(logits) {
        return candle_cross_entropy(logits, targets);
    }
    contiguous_f32(logits)?.apply_op1(CrossEntropy { targets: targets.to_vec() })
}

pub(super) fn candle_cross_entropy(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    let logits = logits.to_dtype(DType::F32)?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let norm = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let targets = Tensor::from_slice(targets, (targets.len(), 1), logits.device())?;
    norm - shifted.gather(&targets, 1)?
}

struct CrossEntropy {
    /// One for each row, each a class.
    targets: Vec<u32>,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, classes) = layout.shape().dims2()?;
        let logits = f32_slice(logits, layout)?;
        let part = |first: usize, nats: &mut [f32]| {
            let own = first..first + nats.len();
            kernel::cross_entropy(&logits[own.start * classes..own.end * classes], &self.targets[own], nats);
        };
        Ok((CpuStorage::F32(par_new_rows(rows, 1, part)), (rows, 1).into()))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (rows, classes) = logits.dims2()?;
        let gradient = with_values(&[logits, dy], |s| {
            par_new_rows(rows * classes, classes, |first, out| {
                let own = first..first + out.len() / classes;
                let logits = &s[0][own.start * classes..own.end * classes];
                kernel::cross_entropy_backward(logits, &self.targets[own.clone()], &s[1][own], out);
            })
        })?;
        Ok(Some(tensor_like(gradient, logits)?))
    }
}
