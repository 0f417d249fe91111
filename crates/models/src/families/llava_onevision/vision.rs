//! SigLIP encoder without its last norm (arXiv 2303.15343): learned positions, no class token, no pooling.
//!
//! Legend: N patches, P values of a patch, E width.

use candle_core::{DType, Result, Tensor};

use super::config::VisionConfig;
use crate::contract::features::Patches;
use crate::error::ModelResult;
use crate::layers::{Bias, Gelu, Linear, NormPlacement, VitBlock, VitConfig};
use crate::ops;
use crate::weights::{ParameterRole, Weights};

/// The encoder: patches to one row per patch.
pub(super) struct VisionEncoder {
    patch_embedding: Linear,
    /// One row for each patch of a view, `[side^2, E]`.
    positions: Tensor,
    blocks: Vec<VitBlock>,
    dtype: DType,
}

impl VisionEncoder {
    /// Reads the tensors below `model.vision_tower`, of as many layers as are used.
    pub(super) fn load(w: &Weights, c: &VisionConfig) -> ModelResult<Self> {
        let kernel = [c.hidden, 3, c.patch, c.patch];
        let embeddings = w.sub("embeddings");
        let block = VitConfig {
            hidden: c.hidden,
            heads: c.heads,
            intermediate: c.intermediate,
            eps: c.eps,
            norms: NormPlacement::Pre,
            gelu: Gelu::Tanh,
            qk_bias: Bias::Zero,
        };
        let blocks = (0..c.layers).map(|i| VitBlock::load(&w.sub("encoder.layers").sub(i), block));
        let patches = embeddings.sub("patch_embedding");
        Ok(VisionEncoder {
            patch_embedding: Linear::load_as(&patches, &kernel, Bias::Zero, ParameterRole::PatchEmbedding)?,
            positions: embeddings.get(
                &[c.patches(), c.hidden],
                "position_embedding.weight",
                ParameterRole::Embedding,
            )?,
            blocks: blocks.collect::<ModelResult<_>>()?,
            dtype: w.dtype(),
        })
    }

    /// `[N, P]` pixels to `[N, E]` features; every view of a frame is a unit of all its positions.
    pub(super) fn forward(&self, patches: &Patches) -> Result<Tensor> {
        let units: Vec<usize> = patches.units.iter().map(|unit| unit.patches()).collect();
        let pixels = patches.pixels.to_device(self.positions.device())?.to_dtype(self.dtype)?;
        let x_ne = self.patch_embedding.forward(&pixels)?;
        let positions = self.positions.repeat((units.len(), 1))?;
        let mut x_ne = ops::add(&x_ne, &positions)?;
        for block in &self.blocks {
            x_ne = block.forward(&x_ne, None, &units)?;
        }
        Ok(x_ne)
    }
}
