//! Recomputation (gradient checkpointing, arXiv 1604.06174): a layer whose inner values are not kept for the backward
//! pass, but computed again in it. Training then holds one row of values a layer instead of a dozen.
//!
//! The tensor library knows no such operation. Ours gives the gradient of its input, and adds the gradients of the
//! variables inside the layer to those that [`backward`](super::backward) collects.

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Storage, Tensor, Var};

use super::gradients::collect;

/// `block(x)` without keeping what lies between. Where neither `x` leads to a variable nor the block has any
/// (`learned`), nothing would be kept anyway.
pub(crate) fn recomputed(
    x: &Tensor,
    learned: bool,
    block: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    if !(learned || x.track_op()) || !x.device().is_cpu() {
        return block(x);
    }
    // The operation is kept only where its input leads to a variable.
    let input = if x.track_op() { x.clone() } else { Var::from_tensor(x)?.into_inner() };
    let result = block(&x.detach())?.detach().contiguous()?;
    input.apply_op1(Recomputed { block, result })
}

struct Recomputed<F> {
    block: F,
    /// Of the forward pass.
    result: Tensor,
}

impl<F: Fn(&Tensor) -> Result<Tensor> + Send + Sync> CustomOp1 for Recomputed<F> {
    fn name(&self) -> &'static str {
        "recomputed"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        match &*self.result.storage_and_layout().0 {
            Storage::Cpu(values) => Ok((values.clone(), self.result.shape().clone())),
            _ => Err(Error::Msg("recomputation on another device than the CPU".to_string())),
        }
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let x = Var::from_tensor(&x.detach())?;
        let y = (self.block)(x.as_tensor())?;
        let mut store = (y * dy)?.sum_all()?.backward()?;
        let dx = store.remove(x.as_tensor());
        collect(store)?;
        Ok(dx)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::backward;
    use super::*;

    fn var(values: &[f32]) -> Var {
        Var::from_tensor(&Tensor::new(values, &Device::Cpu).unwrap()).unwrap()
    }

    /// `(x a)^2 + x b` twice, whose inner layer is recomputed or not.
    fn gradients(x: &Tensor, [a, b]: [&Var; 2], recompute: bool) -> Vec<Option<Vec<f32>>> {
        let layer = {
            let (a, b) = (a.as_tensor().clone(), b.as_tensor().clone());
            move |x: &Tensor| (x * &a)?.sqr()? + (x * &b)?
        };
        let mut y = x.clone();
        for _ in 0..2 {
            let layer = layer.clone();
            y = if recompute { recomputed(&y, true, layer).unwrap() } else { layer(&y).unwrap() };
        }
        let mut gradients = backward(&y.sum_all().unwrap()).unwrap();
        [x, a, b].map(|of| gradients.take(of).unwrap()).to_vec()
    }

    #[test]
    fn gradients_are_those_of_the_layer_that_is_kept() {
        let (x, a, b) = (var(&[0.5, -2.0]), var(&[1.5, 0.3]), var(&[-0.7, 2.0]));
        for x in [x.as_tensor().clone(), x.as_tensor().detach()] {
            // Of a constant the library keeps a gradient that nobody asks for.
            let asked = if x.track_op() { 0 } else { 1 };
            let [kept, again] = [false, true].map(|recompute| gradients(&x, [&a, &b], recompute));
            assert_eq!(again[asked..], kept[asked..]);
            assert!(kept[1].is_some() && kept[2].is_some());
        }
    }

    #[test]
    fn a_loss_whose_gradients_nobody_collects_is_an_error() {
        let a = var(&[1.0]);
        let inner = a.as_tensor().clone();
        let y = recomputed(a.as_tensor(), true, move |x| x * &inner).unwrap();
        assert!(y.sum_all().unwrap().backward().is_err());
    }
}
