//! LayerNorm and RMSNorm with their parameters.

use candle_core::{Result, Tensor};

use crate::error::ModelResult;
use crate::ops::{self, FusedNorm};
use crate::weights::{ParameterRole, Weights};

/// LayerNorm with weight and bias over rows of width D.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Reads `weight` and `bias` `[D]` below `weights`.
    pub fn load(weights: &Weights, d: usize, eps: f64) -> ModelResult<Self> {
        let weight = weights.get(&[d], "weight", ParameterRole::NormWeight)?;
        Ok(LayerNorm { weight, bias: weights.get(&[d], "bias", ParameterRole::BIAS)?, eps })
    }

    /// Normalizes every row of `[T, D]`.
    pub fn forward(&self, x_td: &Tensor) -> Result<Tensor> {
        ops::layer_norm(x_td, &self.weight, &self.bias, self.eps)
    }
}

/// RMSNorm with weight over rows of width D.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// Reads `weight` `[D]` below `weights`.
    pub fn load(weights: &Weights, d: usize, eps: f64) -> ModelResult<Self> {
        Ok(RmsNorm { weight: weights.get(&[d], "weight", ParameterRole::NormWeight)?, eps })
    }

    /// Normalizes every row of `[T, D]`.
    pub fn forward(&self, x_td: &Tensor) -> Result<Tensor> {
        ops::rms_norm(x_td, &self.weight, self.eps)
    }
}

/// The norm before a layer, fused into its product where that is possible.
#[derive(Clone, Copy, Debug)]
pub enum PreNorm<'a> {
    /// No norm.
    None,
    /// LayerNorm.
    Layer(&'a LayerNorm),
    /// RMSNorm.
    Rms(&'a RmsNorm),
}

impl<'a> PreNorm<'a> {
    /// Normalizes every row of `[T, D]`.
    pub fn forward(&self, x_td: &Tensor) -> Result<Tensor> {
        match self {
            PreNorm::None => Ok(x_td.clone()),
            PreNorm::Layer(norm) => norm.forward(x_td),
            PreNorm::Rms(norm) => norm.forward(x_td),
        }
    }

    pub(super) fn fused(self) -> FusedNorm<'a> {
        match self {
            PreNorm::None => FusedNorm::None,
            PreNorm::Layer(LayerNorm { weight, bias, eps }) => FusedNorm::Layer { weight, bias, eps: *eps },
            PreNorm::Rms(RmsNorm { weight, eps }) => FusedNorm::Rms { weight, eps: *eps },
        }
    }
}
