//! Linear layers: the leaves that know how a matrix is held (float, packed, with an adapter).

use candle_core::{Error, Result, Tensor};
use zoetrope_kernels::gemm::PackedMatrix;

use super::lora::Lora;
use super::norm::PreNorm;
use crate::error::ModelResult;
use crate::ops::{self, FusedInput, PackedWeights};
use crate::weights::{ParameterRole, Weights};

/// Whether a linear layer has a bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bias {
    /// None.
    None,
    /// One that starts at zero.
    Zero,
    /// One that starts with normal values of this standard deviation.
    Normal(f32),
}

impl Bias {
    /// [`Bias::Zero`] or none.
    pub fn when(present: bool) -> Self {
        if present { Bias::Zero } else { Bias::None }
    }
}

/// `y = x W^T + b`, `W` `[out, in]`, `x` `[T, in]`, with an optional low-rank adapter.
#[derive(Clone, Debug)]
pub struct Linear {
    matrix: HeldMatrix,
    bias: Option<Tensor>,
    lora: Option<Lora>,
}

/// How a matrix is held.
#[derive(Clone, Debug)]
enum HeldMatrix {
    Float(Tensor),
    /// f32 that is learned by products in bf16.
    Master(Tensor),
    Packed(PackedMatrix),
}

impl HeldMatrix {
    fn of_tensor(weights: &Weights, matrix: Tensor) -> Self {
        match weights.held_as().master {
            true => HeldMatrix::Master(matrix),
            false => HeldMatrix::Float(matrix),
        }
    }
}

impl Linear {
    /// From a matrix `[out, in]` that another layer has loaded as floats: a tied output head, held as one of `weights`
    /// is.
    ///
    /// # Errors
    /// When the matrix is no matrix.
    pub fn tied(weights: &Weights, matrix: &Tensor) -> ModelResult<Self> {
        let matrix = match weights.matrix_type(ParameterRole::OutputHead) {
            Some(weight_type) => {
                let (rows, cols) = matrix.dims2()?;
                let values = matrix.flatten_all()?.to_vec1()?;
                HeldMatrix::Packed(PackedMatrix::pack(weight_type, &values, rows, cols))
            }
            None => HeldMatrix::of_tensor(weights, matrix.clone()),
        };
        Ok(Linear { matrix, bias: None, lora: None })
    }

    /// Reads a hidden matrix `weight` `[output, input]` and, if asked, `bias` below `weights`.
    pub fn load(weights: &Weights, input: usize, output: usize, bias: Bias) -> ModelResult<Self> {
        Self::load_as(weights, &[output, input], bias, ParameterRole::HiddenMatrix)
    }

    /// Reads `weight` with `shape` `[out, ...]`, all further axes being the input, in another role. A hidden matrix has
    /// an adapter beside it when the group has.
    pub fn load_as(weights: &Weights, shape: &[usize], bias: Bias, role: ParameterRole) -> ModelResult<Self> {
        let lora = match role {
            ParameterRole::HiddenMatrix => Lora::load(weights, shape[1..].iter().product(), shape[0])?,
            _ => None,
        };
        let matrix = match weights.packed(shape, "weight", role)? {
            Some(packed) => HeldMatrix::Packed(packed),
            None => HeldMatrix::of_tensor(weights, weights.get(shape, "weight", role)?.flatten_from(1)?),
        };
        let init_std = match bias {
            Bias::None => return Ok(Linear { matrix, bias: None, lora }),
            Bias::Zero => 0.0,
            Bias::Normal(std) => std,
        };
        let bias = Some(weights.get(&shape[..1], "bias", ParameterRole::Bias { init_std })?);
        Ok(Linear { matrix, bias, lora })
    }

    /// Multiplies `[T, in]` to `[T, out]`; differentiable in `x` and in what is learned.
    pub fn forward(&self, x_ti: &Tensor) -> Result<Tensor> {
        let [y] = Linear::forward_fused(PreNorm::None, [self], x_ti)?;
        Ok(y)
    }

    /// The results of several layers for `norm(x)`; in one pass where all are packed and nothing needs a gradient.
    pub fn forward_fused<const N: usize>(
        norm: PreNorm<'_>,
        layers: [&Linear; N],
        x_ti: &Tensor,
    ) -> Result<[Tensor; N]> {
        let packed: Vec<_> = layers.iter().filter_map(|layer| layer.packed()).collect();
        let adapted = layers.iter().any(|layer| layer.adapter().is_some());
        let input = FusedInput { x: x_ti, norm: norm.fused(), residual: None };
        let all = if packed.len() == N && input.can_fuse(&packed) && !adapted {
            ops::fused_linear(input, &packed)?
        } else {
            let y_ti = norm.forward(x_ti)?;
            let base = match packed.len() == N {
                true => ops::packed_linear(&y_ti, &packed)?,
                false => layers.iter().map(|layer| layer.multiply(&y_ti)).collect::<Result<_>>()?,
            };
            let adapt = |(base, layer): (Tensor, &&Linear)| match layer.adapter() {
                Some(lora) => ops::add(&base, &lora.forward(&y_ti)?),
                None => Ok(base),
            };
            base.into_iter().zip(&layers).map(adapt).collect::<Result<_>>()?
        };
        all.try_into().map_err(|_| Error::Msg("as many results as layers".to_string()))
    }

    /// `residual` `[T, out]` plus the result.
    pub fn forward_residual(&self, x_ti: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let input = FusedInput { x: x_ti, norm: PreNorm::None.fused(), residual: Some(residual) };
        match self.fusable() {
            Some(packed) if input.can_fuse(&[packed]) => Ok(ops::fused_linear(input, &[packed])?.swap_remove(0)),
            _ => ops::add(residual, &self.forward(x_ti)?),
        }
    }

    fn multiply(&self, x_ti: &Tensor) -> Result<Tensor> {
        match &self.matrix {
            HeldMatrix::Float(matrix) => ops::linear(x_ti, matrix, self.bias.as_ref()),
            HeldMatrix::Master(matrix) => ops::linear_bf16(x_ti, matrix, self.bias.as_ref()),
            HeldMatrix::Packed(matrix) => {
                let weights = PackedWeights { matrix, bias: self.bias.as_ref() };
                Ok(ops::packed_linear(x_ti, &[weights])?.swap_remove(0))
            }
        }
    }

    /// The adapter, while the model's adapters count.
    fn adapter(&self) -> Option<&Lora> {
        self.lora.as_ref().filter(|lora| lora.is_on())
    }

    fn packed(&self) -> Option<PackedWeights<'_>> {
        match &self.matrix {
            HeldMatrix::Packed(matrix) => Some(PackedWeights { matrix, bias: self.bias.as_ref() }),
            HeldMatrix::Float(_) | HeldMatrix::Master(_) => None,
        }
    }

    /// The packed weights of a layer that has nothing else.
    pub(super) fn fusable(&self) -> Option<PackedWeights<'_>> {
        self.packed().filter(|_| self.adapter().is_none())
    }
}
