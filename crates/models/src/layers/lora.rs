//! Low-rank adapters (LoRA, arXiv 2106.09685): `y + scale * (x A^T) B^T`, learned beside a frozen matrix.

use candle_core::{Result, Tensor};

use crate::error::ModelResult;
use crate::ops;
use crate::weights::{AdapterSwitch, ParameterRole, Weights};

/// The adapter of one matrix.
#[derive(Clone, Debug)]
pub struct Lora {
    /// `[R, I]`.
    down: Tensor,
    /// `[O, R]`, zero at the start.
    up: Tensor,
    /// `alpha / R`.
    scale: f64,
    switch: AdapterSwitch,
}

impl Lora {
    /// The adapter of the matrix `[output, input]` below `weights` when the group's rule asks for one. Tensor names are
    /// those of PEFT: `lora_A.weight` and `lora_B.weight`.
    pub(super) fn load(weights: &Weights, input: usize, output: usize) -> ModelResult<Option<Self>> {
        let Some((rank, alpha)) = weights.adapter() else { return Ok(None) };
        let down = weights.get(&[rank, input], "lora_A.weight", ParameterRole::LoraDown)?;
        let up = weights.get(&[output, rank], "lora_B.weight", ParameterRole::LoraUp)?;
        Ok(Some(Lora { down, up, scale: f64::from(alpha) / rank as f64, switch: weights.adapter_switch() }))
    }

    /// Whether it counts.
    pub(super) fn is_on(&self) -> bool {
        self.switch.is_on()
    }

    /// What is added to the product of `x` `[T, I]`: `[T, O]`. Scaled where it is narrow: a row has R values there.
    pub(super) fn forward(&self, x_ti: &Tensor) -> Result<Tensor> {
        let x_tr = (ops::linear(x_ti, &self.down, None)? * self.scale)?;
        ops::linear(&x_tr, &self.up, None)
    }
}
