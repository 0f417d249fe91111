//! The backward pass. The tensor library adds each gradient to a tensor of zeros, in a new tensor. For weights, whose
//! gradients are the largest values of training, that would be three times the memory and the time to clear it: their
//! operations add to one sum in place instead ([`variable_gradient`]).

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Error, Result, Tensor, TensorId};

use super::tensors::tensor_like;

thread_local! {
    /// What each backward pass at work on this thread has found so far: a thread that waits for others may take up a
    /// second one meanwhile.
    static FOUND: RefCell<Vec<Gradients>> = const { RefCell::new(Vec::new()) };
}

/// Gradients of a loss.
#[derive(Default)]
pub struct Gradients {
    /// Of variables whose operations add to them in place.
    sums: HashMap<TensorId, Vec<f32>>,
    /// All others.
    store: GradStore,
}

impl Gradients {
    /// Takes out the gradient by `variable`, its values in row-major order; `None` when the loss does not depend on it.
    ///
    /// # Errors
    /// When it is no tensor of f32.
    pub fn take(&mut self, variable: &Tensor) -> Result<Option<Vec<f32>>> {
        let stored = match self.store.remove(variable) {
            Some(gradient) => Some(gradient.flatten_all()?.to_vec1::<f32>()?),
            None => None,
        };
        let Some(mut sum) = self.sums.remove(&variable.id()) else { return Ok(stored) };
        if let Some(stored) = stored {
            sum.iter_mut().zip(stored).for_each(|(sum, value)| *sum += value);
        }
        Ok(Some(sum))
    }
}

/// Gradients of the scalar `loss`, those of variables inside recomputed layers included.
///
/// # Errors
/// When an operation fails.
pub fn backward(loss: &Tensor) -> Result<Gradients> {
    FOUND.with_borrow_mut(|found| found.push(Gradients::default()));
    let store = loss.backward();
    let found = FOUND.with_borrow_mut(Vec::pop);
    let mut found = found.unwrap_or_default();
    found.store.extend(store?)?;
    Ok(found)
}

/// The gradient by `w` of one operation, for what its `bwd` returns. `add` writes it, or adds it to what is there when
/// its second argument is set. Of a variable it goes to the sum of the [`backward`] at work, and `None` is returned.
///
/// # Errors
/// When `add` fails.
pub(super) fn variable_gradient(
    w: &Tensor,
    add: impl FnOnce(&mut [f32], bool) -> Result<()>,
) -> Result<Option<Tensor>> {
    // The sum is taken out while it is added to: the thread may run another backward pass as it waits.
    let begun = FOUND.with_borrow_mut(|found| Some(found.last_mut()?.sums.remove(&w.id())));
    match begun.filter(|_| w.is_variable()) {
        Some(sum) => {
            let (accumulate, mut sum) = (sum.is_some(), sum.unwrap_or_else(|| vec![0.0; w.elem_count()]));
            add(&mut sum, accumulate)?;
            FOUND.with_borrow_mut(|found| found.last_mut().map(|found| found.sums.insert(w.id(), sum)));
            Ok(None)
        }
        None => {
            let mut gradient = vec![0.0; w.elem_count()];
            add(&mut gradient, false)?;
            Ok(Some(tensor_like(gradient, w)?))
        }
    }
}

/// Hands the gradients of variables inside a recomputed layer to the [`backward`] at work.
///
/// # Errors
/// When none is.
pub(super) fn collect(store: GradStore) -> Result<()> {
    FOUND.with_borrow_mut(|found| match found.last_mut() {
        Some(found) => found.store.extend(store),
        None => Err(Error::Msg("gradients of recomputed layers are collected by `ops::backward`".to_string())),
    })
}
