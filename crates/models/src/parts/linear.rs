//! Layers with weights: the leaves that know how a weight is stored.

use candle_core::{Result, Tensor};
use zoetrope_kernels::packed::{Before, Packed};

use super::fused::{self, Matrix};
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
        let [y] = Linear::forward_all(Norm::None, [self], x_ti)?;
        Ok(y)
    }

    /// The results of several layers for the same rows after `norm`; packed ones in one pass.
    pub fn forward_all<const N: usize>(norm: Norm<'_>, layers: [&Linear; N], x_ti: &Tensor) -> Result<[Tensor; N]> {
        let packed: Vec<_> = layers.iter().filter_map(|layer| layer.packed()).collect();
        let all = match (packed.len() == N, fused::may(x_ti)) {
            (true, true) => fused::products(norm, &packed, x_ti, None)?,
            (true, false) => ops::packed_linears(&norm.forward(x_ti)?, &packed)?,
            (false, _) => {
                let y_ti = norm.forward(x_ti)?;
                layers.iter().map(|layer| layer.multiply(&y_ti)).collect::<Result<_>>()?
            }
        };
        all.try_into().map_err(|_| candle_core::Error::Msg("as many results as layers".to_string()))
    }

    /// `add` plus the result.
    pub fn forward_added(&self, x_ti: &Tensor, add: &Tensor) -> Result<Tensor> {
        match self.packed() {
            Some(packed) if fused::may(x_ti) => {
                let mut all = fused::products(Norm::None, &[packed], x_ti, Some(add))?;
                Ok(all.swap_remove(0))
            }
            _ => ops::add(add, &self.forward(x_ti)?),
        }
    }

    fn multiply(&self, x_ti: &Tensor) -> Result<Tensor> {
        match &self.weight {
            Weight::Float(weight) => ops::linear(x_ti, weight, self.bias.as_ref()),
            Weight::Packed(packed) => {
                let mut all = ops::packed_linears(x_ti, &[(packed, self.bias.as_ref())])?;
                Ok(all.swap_remove(0))
            }
        }
    }

    /// The packed weight and the bias.
    pub(super) fn packed(&self) -> Option<Matrix<'_>> {
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

/// What is done to the rows that a layer takes.
#[derive(Clone, Copy, Debug)]
pub enum Norm<'a> {
    /// Nothing.
    None,
    /// LayerNorm.
    Layer(&'a LayerNorm),
    /// RMSNorm.
    Rms(&'a RmsNorm),
}

impl Norm<'_> {
    /// Normalises every row.
    pub fn forward(&self, x_td: &Tensor) -> Result<Tensor> {
        match self {
            Norm::None => Ok(x_td.clone()),
            Norm::Layer(norm) => norm.forward(x_td),
            Norm::Rms(norm) => norm.forward(x_td),
        }
    }

    /// Weight and bias, as far as there are any.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let (weight, bias) = match self {
            Norm::None => (None, None),
            Norm::Layer(norm) => (Some(&norm.weight), Some(&norm.bias)),
            Norm::Rms(norm) => (Some(&norm.weight), None),
        };
        weight.into_iter().chain(bias)
    }

    /// The same for a kernel; `next` gives the values of the tensors one after the other.
    pub(super) fn before<'v>(&self, next: &mut impl FnMut() -> &'v [f32]) -> Before<'v> {
        match self {
            Norm::None => Before::Keep,
            Norm::Layer(norm) => Before::LayerNorm { weight: next(), bias: next(), eps: norm.eps as f32 },
            Norm::Rms(norm) => Before::RmsNorm { weight: next(), eps: norm.eps as f32 },
        }
    }
}
