//! The perceptron of a transformer layer: one or two products, an activation, a product.

use candle_core::{Result, Tensor};
use zoetrope_kernels::packed::Between;

use super::linear::{Linear, Norm};
use super::{fused, ops};

/// `second(between(first(x)))`.
#[derive(Clone, Debug)]
pub struct Mlp {
    first: Vec<Linear>,
    between: Between,
    second: Linear,
}

impl Mlp {
    /// With GELU in the tanh form.
    pub fn gelu_tanh(first: Linear, second: Linear) -> Self {
        Mlp { first: vec![first], between: Between::GeluTanh, second }
    }

    /// With GELU by the error function.
    pub fn gelu_erf(first: Linear, second: Linear) -> Self {
        Mlp { first: vec![first], between: Between::GeluErf, second }
    }

    /// `down(silu(gate(x)) * up(x))`.
    pub fn swiglu(gate: Linear, up: Linear, down: Linear) -> Self {
        Mlp { first: vec![gate, up], between: Between::SwiGlu, second: down }
    }

    /// Of `norm(x)`, rows `[T, D]`, plus `add` where it is given; in one pass where the weights are packed.
    pub fn forward(&self, norm: Norm<'_>, x_td: &Tensor, add: Option<&Tensor>) -> Result<Tensor> {
        let packed: Vec<_> = self.first.iter().filter_map(Linear::packed).collect();
        if let (Some(second), true) = (self.second.packed(), packed.len() == self.first.len() && fused::may(x_td)) {
            return fused::perceptron(norm, &packed, self.between, second, x_td, add);
        }
        let y_td = norm.forward(x_td)?;
        let first = self.first[0].forward(&y_td)?;
        let y_ti = match self.between {
            Between::GeluTanh => ops::gelu_tanh(&first)?,
            Between::GeluErf => first.gelu_erf()?,
            Between::SwiGlu => ops::swiglu(&first, &self.first[1].forward(&y_td)?)?,
        };
        let y_td = self.second.forward(&y_ti)?;
        match add {
            Some(add) => ops::add(add, &y_td),
            None => Ok(y_td),
        }
    }
}
