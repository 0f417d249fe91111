//! Values of variables, changed where they are.

use std::cell::RefCell;

use candle_core::{CpuStorage, InplaceOp1, Layout, Tensor, Var, bail};

use crate::error::LabError;

/// Lets `change` write the values of `variable`, in row-major order. On the CPU nothing is copied.
///
/// # Errors
/// When `change` fails; values that it wrote before stay. When a tensor operation fails.
pub(super) fn change_values(
    variable: &Var,
    change: impl FnOnce(&mut [f32]) -> Result<(), LabError>,
) -> Result<(), LabError> {
    if variable.device().is_cpu() && variable.is_contiguous() {
        let change = Change { todo: RefCell::new(Some(change)), result: RefCell::new(Ok(())) };
        variable.inplace_op1(&change)?;
        return change.result.into_inner();
    }
    let mut values = variable.flatten_all()?.to_vec1::<f32>()?;
    change(&mut values)?;
    Ok(variable.set(&Tensor::from_vec(values, variable.shape(), variable.device())?)?)
}

struct Change<F> {
    /// `None` once it is done.
    todo: RefCell<Option<F>>,
    result: RefCell<Result<(), LabError>>,
}

impl<F: FnOnce(&mut [f32]) -> Result<(), LabError>> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "change-values"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            bail!("values that are learned must be contiguous and f32")
        };
        if let Some(change) = self.todo.take() {
            *self.result.borrow_mut() = change(&mut values[start..end]);
        }
        Ok(())
    }
}
