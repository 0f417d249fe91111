//! The MLP of a transformer layer: one or two products, an activation, a product.

use candle_core::{Result, Tensor};
use zoetrope_kernels::gemm::MlpActivation;

use super::linear::Linear;
use super::norm::PreNorm;
use crate::ops::{self, FusedInput};

/// `second(activation(first(x)))`.
#[derive(Clone, Debug)]
pub struct Mlp {
    first: Vec<Linear>,
    activation: MlpActivation,
    second: Linear,
}

impl Mlp {
    /// With GELU in the tanh form.
    pub fn gelu_tanh(first: Linear, second: Linear) -> Self {
        Mlp { first: vec![first], activation: MlpActivation::GeluTanh, second }
    }

    /// With GELU by the error function.
    pub fn gelu_erf(first: Linear, second: Linear) -> Self {
        Mlp { first: vec![first], activation: MlpActivation::GeluErf, second }
    }

    /// `down(silu(gate(x)) * up(x))`.
    pub fn swiglu(gate: Linear, up: Linear, down: Linear) -> Self {
        Mlp { first: vec![gate, up], activation: MlpActivation::SwiGlu, second: down }
    }

    /// Of `norm(x)`, rows `[T, D]`, plus `residual` where it is given; in one pass where the weights are packed and
    /// nothing needs a gradient.
    pub fn forward(&self, norm: PreNorm<'_>, x_td: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        let first: Vec<_> = self.first.iter().filter_map(Linear::fusable).collect();
        if let (Some(second), true) = (self.second.fusable(), first.len() == self.first.len()) {
            let input = FusedInput { x: x_td, norm: norm.fused(), residual };
            let all: Vec<_> = first.iter().copied().chain([second]).collect();
            // Gate and up are multiplied side by side; a GGUF file may have them in different types.
            let alike = first.windows(2).all(|two| two[0].matrix.weight_type() == two[1].matrix.weight_type());
            if alike && input.can_fuse(&all) {
                return ops::fused_mlp(input, &first, self.activation, second);
            }
        }
        let y_td = norm.forward(x_td)?;
        let y_ti = match (&self.first[..], self.activation) {
            ([gate, up], _) => {
                let [gate, up] = Linear::forward_fused(PreNorm::None, [gate, up], &y_td)?;
                ops::swiglu(&gate, &up)?
            }
            (first, MlpActivation::GeluErf) => ops::gelu_erf(&first[0].forward(&y_td)?)?,
            (first, _) => ops::gelu_tanh(&first[0].forward(&y_td)?)?,
        };
        let y_td = self.second.forward(&y_ti)?;
        match residual {
            Some(residual) => ops::add(residual, &y_td),
            None => Ok(y_td),
        }
    }
}
