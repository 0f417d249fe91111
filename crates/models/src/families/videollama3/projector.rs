//! Projector from the encoder's width to the language model's (VideoLLaMA3 paper, section 2).
//!
//! Legend: V visual tokens, D width of the encoder, L language width.

use candle_core::{Result, Tensor};

use crate::error::ModelResult;
use crate::layers::{Bias, Linear, Mlp, PreNorm};
use crate::weights::Weights;

/// Two-layer projector with exact GELU.
pub(super) struct Projector(Mlp);

impl Projector {
    /// Reads the tensors below `model.projector`.
    pub(super) fn load(w: &Weights, vision: usize, language: usize) -> ModelResult<Self> {
        let first = Linear::load(&w.sub("readout.0"), vision, language, Bias::Zero)?;
        Ok(Projector(Mlp::gelu_erf(first, Linear::load(&w.sub("readout.2"), language, language, Bias::Zero)?)))
    }

    /// `[V, D]` to `[V, L]`.
    pub(super) fn forward(&self, x_vd: &Tensor) -> Result<Tensor> {
        self.0.forward(PreNorm::None, x_vd, None)
    }
}
