//! Rotary position embedding (RoPE, arXiv 2104.09864) in the half-split form: dimension `j` pairs with `j + C/2`.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp1, D, DType, Layout, Result, Shape, Tensor, bail};
use zoetrope_kernels::elementwise::rope as kernel;
use zoetrope_kernels::threads::par_new_rows;

use super::tensors::{f32_slice, in_f32, is_tracked, tensor_like, use_kernels, with_values};

/// Cosines and sines of the angles of some rows, `[T, C/2]` each; cheap to clone.
#[derive(Clone, Debug)]
pub struct RopeTables(Arc<Tables>);

#[derive(Debug)]
struct Tables {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
    /// Both tables on an accelerator, `[T, 1, C/2]`, uploaded once for all layers.
    on_device: OnceLock<(Tensor, Tensor)>,
}

impl RopeTables {
    /// From angles `[T, half]`, row by row.
    pub fn new(angles: &[f32], half: usize) -> Self {
        let (cos, sin) = angles.iter().map(|a| (a.cos(), a.sin())).unzip();
        RopeTables(Arc::new(Tables { cos, sin, half, on_device: OnceLock::new() }))
    }

    /// The tables of the rows `rows`.
    pub fn select(&self, rows: &[u32]) -> Self {
        let half = self.0.half;
        let of = |all: &[f32]| rows.iter().flat_map(|&row| &all[row as usize * half..][..half]).copied().collect();
        let (cos, sin) = (of(&self.0.cos), of(&self.0.sin));
        RopeTables(Arc::new(Tables { cos, sin, half, on_device: OnceLock::new() }))
    }

    fn rows(&self) -> usize {
        self.0.cos.len() / self.0.half.max(1)
    }

    /// Tables `[T, 1, C/2]` on the device of `x`.
    fn tensors(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        if let Some(tensors) = self.0.on_device.get() {
            return Ok(tensors.clone());
        }
        let upload = |values: &[f32]| Tensor::from_slice(values, (self.rows(), 1, self.0.half), x.device());
        let tensors = (upload(&self.0.cos)?, upload(&self.0.sin)?);
        Ok(self.0.on_device.get_or_init(|| tensors).clone())
    }
}

/// Rotates `x` `[T, heads, C]` by the angles of its rows.
///
/// # Errors
/// When the tables are of other rows or another width.
pub fn rope(x: &Tensor, tables: &RopeTables) -> Result<Tensor> {
    let (t, _, c) = x.dims3()?;
    if c != 2 * tables.0.half || t != tables.rows() {
        bail!("rope tables {:?} do not fit rows {:?}", (tables.rows(), tables.0.half), x.dims())
    }
    if !use_kernels(x) {
        return candle_rope(x, tables);
    }
    in_f32(x, |x| x.apply_op1(Rope { tables: tables.clone(), sign: 1.0 }))
}

/// Angles and rotation stay in f32, whatever the activations are.
pub(super) fn candle_rope(x_thc: &Tensor, tables: &RopeTables) -> Result<Tensor> {
    let x = x_thc.to_dtype(DType::F32)?;
    let (cos, sin) = tables.tensors(&x)?;
    let y = match is_tracked(&[&x]) {
        true => rotate_halves(&x, &cos, &sin)?,
        false => candle_nn::rotary_emb::rope_thd(&x.contiguous()?.unsqueeze(0)?, &cos.squeeze(1)?, &sin.squeeze(1)?)?
            .squeeze(0)?,
    };
    y.to_dtype(x_thc.dtype())
}

/// The definition: `(a cos - b sin, b cos + a sin)` of the halves a and b of `x` `[T, heads, C]`.
fn rotate_halves(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let half = cos.dim(D::Minus1)?;
    let (a, b) = (x.narrow(2, 0, half)?, x.narrow(2, half, half)?);
    let low = (a.broadcast_mul(cos)? - b.broadcast_mul(sin)?)?;
    let high = (b.broadcast_mul(cos)? + a.broadcast_mul(sin)?)?;
    Tensor::cat(&[low, high], 2)
}

struct Rope {
    tables: RopeTables,
    /// -1 rotates back: the gradient.
    sign: f32,
}

impl Rope {
    fn rotate(&self, x: &[f32], heads: usize) -> Vec<f32> {
        let Tables { cos, sin, half, .. } = &*self.tables.0;
        let row = heads * 2 * half;
        par_new_rows(x.len(), row, |first, y| {
            let angles = first * half..(first + y.len() / row) * half;
            let (cos, sin) = (&cos[angles.clone()], &sin[angles]);
            kernel::rope(&x[first * row..][..y.len()], cos, sin, heads, *half, self.sign, y);
        })
    }
}

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let heads = layout.shape().dims3()?.1;
        let x = f32_slice(x, layout)?;
        Ok((CpuStorage::F32(self.rotate(x, heads)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let heads = x.dims3()?.1;
        let back = Rope { tables: self.tables.clone(), sign: -self.sign };
        let dx = with_values(&[dy], |s| back.rotate(s[0], heads))?;
        Ok(Some(tensor_like(dx, x)?))
    }
}
