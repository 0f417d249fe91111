//! Layers with weights: the leaves that know how a weight is stored.

use candle_core::{Result, Tensor};

use super::ops;
use super::weights::Weights;
use crate::error::Loaded;

/// `y = x W^T + b`, `W` `[out, in]`, `x` `[T, in]`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// From tensors that are already there (tied weights).
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Linear { weight, bias }
    }

    /// Reads `weight` and, if asked, `bias` below `weights`.
    pub fn load(weights: &Weights, input: usize, output: usize, bias: bool) -> Loaded<Self> {
        let weight = weights.get(&[output, input], "weight")?;
        let bias = if bias { Some(weights.get(&[output], "bias")?) } else { None };
        Ok(Linear { weight, bias })
    }

    /// Multiplies; differentiable in `x` and, when they are variables, in weight and bias.
    pub fn forward(&self, x_ti: &Tensor) -> Result<Tensor> {
        ops::linear(x_ti, &self.weight, self.bias.as_ref())
    }
}

/// LayerNorm with weight and bias over rows of width `d`.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Reads `weight` and `bias` below `weights`.
    pub fn load(weights: &Weights, d: usize, eps: f64) -> Loaded<Self> {
        Ok(LayerNorm { weight: weights.get(&[d], "weight")?, bias: weights.get(&[d], "bias")?, eps })
    }

    /// Normalises every row.
    pub fn forward(&self, x_td: &Tensor) -> Result<Tensor> {
        ops::layer_norm(x_td, &self.weight, &self.bias, self.eps)
    }
}

/// RMSNorm with weight over rows of width `d`.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// Reads `weight` below `weights`.
    pub fn load(weights: &Weights, d: usize, eps: f64) -> Loaded<Self> {
        Ok(RmsNorm { weight: weights.get(&[d], "weight")?, eps })
    }

    /// Normalises every row.
    pub fn forward(&self, x_td: &Tensor) -> Result<Tensor> {
        ops::rms_norm(x_td, &self.weight, self.eps)
    }
}
