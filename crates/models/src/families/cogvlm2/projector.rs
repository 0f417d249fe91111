//! The adapter: a gated MLP from the encoder's width to the language model's, and marks of a picture's begin and end.
//!
//! Legend: U units, R feature rows of all units, D width of the encoder, L language width, V visual tokens.

use candle_core::{Result, Tensor};

use super::config::Config;
use crate::error::ModelResult;
use crate::layers::{Bias, LayerNorm, Linear, Mlp, PreNorm};
use crate::ops;
use crate::weights::{ParameterRole, Weights};

/// Epsilon of the adapter's norm: PyTorch's own, which no file says.
const NORM_EPS: f64 = 1e-5;

/// From features to visual tokens.
pub(super) struct Projector {
    linear: Linear,
    norm: LayerNorm,
    mlp: Mlp,
    /// `[1, 1, L]`, before and after the tokens of every picture.
    begin: Tensor,
    end: Tensor,
    per_unit: usize,
}

impl Projector {
    /// Reads `linear_proj`, `boi` and `eoi` below `model.vision`.
    pub(super) fn load(w: &Weights, c: &Config) -> ModelResult<Self> {
        let (d, l, i) = (c.vision.hidden, c.language.hidden, c.language.intermediate);
        let adapter = w.sub("linear_proj");
        let linear = |name: &str, from: usize, to: usize| Linear::load(&adapter.sub(name), from, to, Bias::None);
        let mark = |name: &str| w.get(&[1, 1, l], name, ParameterRole::Embedding);
        Ok(Projector {
            linear: linear("linear_proj", d, l)?,
            norm: LayerNorm::load(&adapter.sub("norm1"), l, NORM_EPS)?,
            mlp: Mlp::swiglu(
                linear("gate_proj", l, i)?,
                linear("dense_h_to_4h", l, i)?,
                linear("dense_4h_to_h", i, l)?,
            ),
            begin: mark("boi")?,
            end: mark("eoi")?,
            per_unit: c.vision.features(),
        })
    }

    /// `[R, D]` to `[V, L]`: for every unit the begin mark, its rows, the end mark.
    pub(super) fn forward(&self, x_rd: &Tensor) -> Result<Tensor> {
        let x_rl = ops::gelu_erf(&self.norm.forward(&self.linear.forward(x_rd)?)?)?;
        let y_rl = self.mlp.forward(PreNorm::None, &x_rl, None)?;
        let (rows, l) = y_rl.dims2()?;
        let units = rows / self.per_unit;
        let y_unl = y_rl.reshape((units, self.per_unit, l))?;
        let mark = |mark: &Tensor| mark.broadcast_as((units, 1, l));
        Tensor::cat(&[&mark(&self.begin)?, &y_unl, &mark(&self.end)?], 1)?.reshape((units * (self.per_unit + 2), l))
    }
}
