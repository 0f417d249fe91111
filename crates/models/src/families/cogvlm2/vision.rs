//! EVA2-CLIP-E: a ViT whose blocks normalize what attention and MLP give, and a 2 x 2 convolution over its patches.
//!
//! Legend: U units (pictures), N patches of all units, P values of a patch, D width, G patches on a side, R feature
//! rows.

use candle_core::{Result, Tensor};

use super::config::VisionConfig;
use crate::contract::features::{Features, Patches};
use crate::error::{ModelError, ModelResult};
use crate::layers::{Bias, Gelu, Linear, NormPlacement, VitBlock, VitConfig};
use crate::weights::{ParameterRole, Weights};

/// The encoder: patches to one row for each square of 2 x 2 patches.
pub(super) struct VisionEncoder {
    patch_embedding: Linear,
    /// `[1, D]`, the class token that stands before the patches.
    class: Tensor,
    /// `[1 + G * G, D]`, the class token's first.
    positions: Tensor,
    blocks: Vec<VitBlock>,
    /// `[D, D, 2, 2]`, stride 2.
    conv: Linear,
    config: VisionConfig,
    weights: Weights,
}

impl VisionEncoder {
    /// Reads `patch_embedding`, `transformer.layers.N` and `conv` below `model.vision`.
    pub(super) fn load(w: &Weights, c: &VisionConfig) -> ModelResult<Self> {
        let embedding = w.sub("patch_embedding");
        let block = VitConfig {
            hidden: c.hidden,
            heads: c.heads,
            intermediate: c.intermediate,
            eps: c.eps,
            norms: NormPlacement::Post,
            gelu: Gelu::Erf,
            qk_bias: Bias::Zero,
        };
        let (d, rows) = (c.hidden, 1 + c.grid() * c.grid());
        let kernel = [d, 3, c.patch, c.patch];
        let blocks = (0..c.layers).map(|i| VitBlock::load(&w.sub("transformer.layers").sub(i), block));
        Ok(VisionEncoder {
            patch_embedding: Linear::load_as(
                &embedding.sub("proj"),
                &kernel,
                Bias::Zero,
                ParameterRole::PatchEmbedding,
            )?,
            class: embedding.get(&[1, d], "cls_embedding", ParameterRole::Embedding)?,
            positions: embedding.get(&[rows, d], "position_embedding.weight", ParameterRole::Embedding)?,
            blocks: blocks.collect::<ModelResult<_>>()?,
            conv: Linear::load_as(&w.sub("conv"), &[d, d, 2, 2], Bias::Zero, ParameterRole::HiddenMatrix)?,
            config: c.clone(),
            weights: w.clone(),
        })
    }

    /// Pixels `[N, P]` to features, as many rows for every unit.
    pub(super) fn forward(&self, patches: &Patches) -> ModelResult<Features> {
        let grid = self.config.grid();
        if let Some(unit) = patches.units.iter().find(|unit| unit.grid != [1, grid, grid]) {
            return Err(ModelError::Bug(format!("patches {:?}, this encoder takes {:?}", unit.grid, [1, grid, grid])));
        }
        let per_unit = vec![self.config.features(); patches.units.len()];
        Ok(Features { rows: self.convolve(&self.encode(patches)?)?, per_unit })
    }

    /// Pixels `[N, P]` to the rows of all patches `[U, G * G, D]`, without the class token.
    pub(super) fn encode(&self, patches: &Patches) -> Result<Tensor> {
        let (units, d) = (patches.units.len(), self.config.hidden);
        let area = self.config.grid() * self.config.grid();
        let x_np = patches.pixels.to_device(self.weights.device())?.to_dtype(self.weights.dtype())?;
        let x_ugd = self.patch_embedding.forward(&x_np)?.reshape((units, area, d))?;
        let class_u1d = self.class.unsqueeze(0)?.broadcast_as((units, 1, d))?;
        let x_und = Tensor::cat(&[&class_u1d, &x_ugd], 1)?.broadcast_add(&self.positions.unsqueeze(0)?)?;
        let mut x_nd = x_und.reshape((units * (area + 1), d))?;
        let lengths = vec![area + 1; units];
        for block in &self.blocks {
            x_nd = block.forward(&x_nd, None, &lengths)?;
        }
        x_nd.reshape((units, area + 1, d))?.narrow(1, 1, area)
    }

    /// Rows of patches `[U, G * G, D]` to features `[R, D]`: each square of 2 x 2 patches is a row of the product.
    fn convolve(&self, x_und: &Tensor) -> Result<Tensor> {
        let (units, _, d) = x_und.dims3()?;
        let half = self.config.grid() / 2;
        // [unit and row, y, column, x, D] -> [unit and row, column, D, y, x]
        let squares = x_und.contiguous()?.reshape((units * half, 2, half, 2, d))?.permute((0, 2, 4, 1, 3))?;
        self.conv.forward(&squares.contiguous()?.reshape((units * half * half, 4 * d))?)
    }
}
