//! Rows of an embedding table.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};

use super::gradients::variable_gradient;
use super::tensors::{f32_slice, use_kernels, with_values};

/// The rows `[ids.len(), D]` of `table` `[W, D]`; differentiable. The gradient of a table that is a variable is added
/// in place: candle copies the whole table for each call.
///
/// # Errors
/// When a number is not below `W`.
pub fn embedding(table: &Tensor, ids: &[u32]) -> Result<Tensor> {
    let (rows, _) = table.dims2()?;
    if !use_kernels(table) || table.dtype() != DType::F32 || !table.track_op() {
        return table.index_select(&Tensor::from_slice(ids, ids.len(), table.device())?, 0);
    }
    if let Some(id) = ids.iter().find(|id| **id as usize >= rows) {
        bail!("row {id} of a table of {rows} rows")
    }
    table.contiguous()?.apply_op1(Embedding { ids: ids.to_vec() })
}

struct Embedding {
    /// Each is a row of the table.
    ids: Vec<u32>,
}

impl CustomOp1 for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(&self, table: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, width) = layout.shape().dims2()?;
        let table = f32_slice(table, layout)?;
        let rows = self.ids.iter().flat_map(|id| &table[*id as usize * width..][..width]);
        Ok((CpuStorage::F32(rows.copied().collect()), (self.ids.len(), width).into()))
    }

    fn bwd(&self, table: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, width) = table.dims2()?;
        // A new sum is zero.
        variable_gradient(table, |sum, _| {
            with_values(&[dy], |s| {
                for (id, row) in self.ids.iter().zip(s[0].chunks_exact(width)) {
                    let own = &mut sum[*id as usize * width..][..width];
                    own.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
            })
        })
    }
}
