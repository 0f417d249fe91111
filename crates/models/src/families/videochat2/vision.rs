//! UMT-L/16: a ViT whose attention is over all patches of all frames of a clip (Unmasked Teacher, arXiv 2303.16058).
//!
//! Legend: N patches of all units, P values of a patch, D width.

use candle_core::{DType, Result, Tensor};

use super::config::VisionConfig;
use super::positions;
use crate::contract::features::Patches;
use crate::error::ModelResult;
use crate::layers::{Bias, Gelu, LayerNorm, Linear, NormPlacement, VitBlock, VitConfig};
use crate::weights::{ParameterRole, Weights};

/// LayerNorm epsilon of the blocks.
const EPS: f64 = 1e-6;
/// LayerNorm epsilon of the norm behind them.
const FINAL_EPS: f64 = 1e-12;

/// The encoder: patches to one row per patch.
pub(super) struct VisionEncoder {
    patch_embedding: Linear,
    blocks: Vec<VitBlock>,
    final_norm: LayerNorm,
    config: VisionConfig,
}

impl VisionEncoder {
    /// Reads the tensors below `vision_encoder.encoder` and `vision_layernorm`.
    pub(super) fn load(w: &Weights, c: &VisionConfig) -> ModelResult<Self> {
        let own = w.sub("vision_encoder.encoder");
        let kernel = [c.hidden, 3, 1, c.patch, c.patch];
        let embedding = own.sub("patch_embed.proj");
        let block = VitConfig {
            hidden: c.hidden,
            heads: c.heads,
            intermediate: 4 * c.hidden,
            eps: EPS,
            norms: NormPlacement::Pre,
            gelu: Gelu::Erf,
            qk_bias: Bias::Zero,
        };
        let blocks = (0..c.layers).map(|i| VitBlock::load(&own.sub("blocks").sub(i), block));
        Ok(VisionEncoder {
            patch_embedding: Linear::load_as(&embedding, &kernel, Bias::Zero, ParameterRole::PatchEmbedding)?,
            blocks: blocks.collect::<ModelResult<_>>()?,
            final_norm: LayerNorm::load(&w.sub("vision_layernorm"), c.hidden, FINAL_EPS)?,
            config: c.clone(),
        })
    }

    /// `[N, P]` pixels to `[N, D]` features; a unit is all frames of a view.
    pub(super) fn forward(&self, patches: &Patches, dtype: DType) -> Result<Tensor> {
        self.normalize(&self.encode(patches, dtype)?)
    }

    /// Features `[N, D]` before the norm behind the blocks.
    pub(super) fn encode(&self, patches: &Patches, dtype: DType) -> Result<Tensor> {
        let units: Vec<usize> = patches.units.iter().map(|unit| unit.patches()).collect();
        let pixels = patches.pixels.to_dtype(dtype)?;
        let positions = self.positions(patches)?.to_device(pixels.device())?.to_dtype(dtype)?;
        let mut x_nd = (self.patch_embedding.forward(&pixels)? + positions)?;
        for block in &self.blocks {
            x_nd = block.forward(&x_nd, None, &units)?;
        }
        Ok(x_nd)
    }

    /// The norm behind the blocks.
    pub(super) fn normalize(&self, x_nd: &Tensor) -> Result<Tensor> {
        self.final_norm.forward(x_nd)
    }

    /// The position tables of all units, `[N, D]`.
    fn positions(&self, patches: &Patches) -> Result<Tensor> {
        let (mut all, mut last) = (Vec::new(), (0, Vec::new()));
        for unit in &patches.units {
            let frames = unit.grid[0];
            if frames != last.0 {
                last = (frames, positions::table(&self.config, frames));
            }
            all.extend_from_slice(&last.1);
        }
        let d = self.config.hidden;
        Tensor::from_vec(all, (patches.pixels.dim(0)?, d), &candle_core::Device::Cpu)
    }
}
