//! Layers with weights: the leaves that know how a weight is stored.

use candle_core::{Result, Tensor};
use zoetrope_kernels::packed::{Packed, Then};

use super::ops;
use super::weights::{Table, Weights};
use crate::error::Loaded;

/// `y = x W^T + b`, `W` `[out, in]`, `x` `[T, in]`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Weight,
    bias: Option<Tensor>,
}

/// How a weight is held.
#[derive(Clone, Debug)]
enum Weight {
    Float(Tensor),
    Packed(Packed),
}

impl Linear {
    /// From tensors that are already there (tied weights).
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Linear { weight: Weight::Float(weight), bias }
    }

    /// Reads `weight` and, if asked, `bias` below `weights`.
    pub fn load(weights: &Weights, input: usize, output: usize, bias: bool) -> Loaded<Self> {
        Self::load_as(weights, &[output, input], bias)
    }

    /// The same for a weight stored with `shape` `[out, ...]`, all further axes being the input.
    pub fn load_as(weights: &Weights, shape: &[usize], bias: bool) -> Loaded<Self> {
        let weight = match weights.packed(shape, "weight")? {
            Some(packed) => Weight::Packed(packed),
            None => Weight::Float(weights.get(shape, "weight")?.flatten_from(1)?),
        };
        let bias = if bias { Some(weights.get(&shape[..1], "bias")?) } else { None };
        Ok(Linear { weight, bias })
    }

    /// Multiplies; differentiable in `x` and, when they are variables, in weight and bias.
    pub fn forward(&self, x_ti: &Tensor) -> Result<Tensor> {
        self.forward_then(x_ti, Then::Keep)
    }

    /// Multiplies and applies GELU in the tanh form, in one pass where the weight is packed.
    pub fn forward_gelu_tanh(&self, x_ti: &Tensor) -> Result<Tensor> {
        self.forward_then(x_ti, Then::GeluTanh)
    }

    fn forward_then(&self, x_ti: &Tensor, then: Then) -> Result<Tensor> {
        match (&self.weight, then) {
            (Weight::Float(weight), Then::Keep) => ops::linear(x_ti, weight, self.bias.as_ref()),
            (Weight::Float(weight), Then::GeluTanh) => ops::gelu_tanh(&ops::linear(x_ti, weight, self.bias.as_ref())?),
            (Weight::Packed(packed), then) => {
                let mut all = ops::packed_linears(x_ti, &[(packed, self.bias.as_ref())], then)?;
                Ok(all.swap_remove(0))
            }
        }
    }

    /// The results of several layers for the same rows; packed ones in one pass.
    pub fn forward_all<const N: usize>(layers: [&Linear; N], x_ti: &Tensor) -> Result<[Tensor; N]> {
        let packed: Vec<_> = layers.iter().filter_map(|layer| layer.packed()).collect();
        let all = if packed.len() == N {
            ops::packed_linears(x_ti, &packed, Then::Keep)?
        } else {
            layers.iter().map(|layer| layer.forward(x_ti)).collect::<Result<_>>()?
        };
        all.try_into().map_err(|_| candle_core::Error::Msg("as many results as layers".to_string()))
    }

    fn packed(&self) -> Option<(&Packed, Option<&Tensor>)> {
        match &self.weight {
            Weight::Packed(packed) => Some((packed, self.bias.as_ref())),
            Weight::Float(_) => None,
        }
    }
}

/// Rows of a table by number.
pub enum Embedding {
    /// All of it as a tensor `[W, D]`.
    Tensor(Tensor),
    /// In its file.
    Table(Table),
}

impl Embedding {
    /// Reads `weight` `[W, D]` below `weights`.
    pub fn load(weights: &Weights, vocabulary: usize, width: usize) -> Loaded<Self> {
        match weights.table([vocabulary, width], "weight") {
            Some(table) => Ok(Embedding::Table(table)),
            None => Ok(Embedding::Tensor(weights.get(&[vocabulary, width], "weight")?)),
        }
    }

    /// Rows `[ids.len(), D]`.
    pub fn forward(&self, ids: &[u32]) -> Result<Tensor> {
        match self {
            Embedding::Tensor(all) => all.index_select(&Tensor::from_slice(ids, ids.len(), all.device())?, 0),
            Embedding::Table(table) => table.rows(ids).map_err(candle_core::Error::wrap),
        }
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
