//! EVA-ViT-G (arXiv 2211.07636): a pre-norm ViT with a class token and learned positions, without a final norm.
//!
//! Legend: N patches, P values of a patch, U units (frames), R = 1 + N / U rows of a unit, E width.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::config::VisionConfig;
use super::positions::PositionTable;
use crate::contract::features::Patches;
use crate::error::ModelResult;
use crate::layers::{Bias, Gelu, Linear, NormPlacement, VitBlock, VitConfig};
use crate::ops;
use crate::weights::{ParameterRole, Weights};

/// The encoder: patches to a row for the class token and for each patch.
pub(super) struct VisionEncoder {
    patch_embedding: Linear,
    /// `[1, 1, E]`.
    class_token: Tensor,
    positions: PositionTable,
    blocks: Vec<VitBlock>,
    rows: usize,
    dtype: DType,
    device: Device,
}

impl VisionEncoder {
    /// Reads the tensors below `model.vision_tower`.
    pub(super) fn load(w: &Weights, c: &VisionConfig) -> ModelResult<Self> {
        let block = VitConfig {
            hidden: c.hidden,
            heads: c.heads,
            intermediate: c.intermediate,
            eps: c.eps,
            norms: NormPlacement::Pre,
            gelu: Gelu::Erf,
            qk_bias: Bias::Zero,
        };
        let kernel = [c.hidden, 3, c.patch, c.patch];
        let patches = w.sub("patch_embedding");
        let blocks = (0..c.layers).map(|i| VitBlock::load(&w.sub("blocks").sub(i), block));
        Ok(VisionEncoder {
            patch_embedding: Linear::load_as(&patches, &kernel, Bias::Zero, ParameterRole::PatchEmbedding)?,
            class_token: w.get(&[1, 1, c.hidden], "cls_token", ParameterRole::Embedding)?,
            positions: PositionTable::load(w, "pos_embed", c.grid(), c.hidden)?,
            blocks: blocks.collect::<ModelResult<_>>()?,
            rows: c.rows(),
            dtype: w.dtype(),
            device: w.device().clone(),
        })
    }

    /// `[N, P]` pixels to `[U * R, E]` features; every frame is a unit.
    pub(super) fn forward(&self, patches: &Patches) -> Result<Tensor> {
        let (units, rows) = (patches.units.len(), self.rows);
        if let Some(unit) = patches.units.iter().find(|unit| unit.patches() + 1 != rows) {
            bail!("a frame of {} patches, the position table has {}", unit.patches(), rows - 1)
        }
        let x_np = patches.pixels.to_device(&self.device)?.to_dtype(self.dtype)?;
        let x_ne = self.patch_embedding.forward(&x_np)?;
        let class = self.class_token.squeeze(0)?.to_dtype(x_ne.dtype())?;
        let all = Tensor::cat(&[&class, &x_ne], 0)?;
        // Row 0 of `all` is the class token; each frame begins with it.
        let patch = |unit: usize, row: usize| if row == 0 { 0 } else { 1 + unit * (rows - 1) + row - 1 };
        let order = (0..units * rows).map(|at| patch(at / rows, at % rows) as u32).collect();
        let places = (0..units * rows).map(|at| (at % rows) as u32).collect();
        let gather = |from: &Tensor, order: Vec<u32>| {
            from.index_select(&Tensor::from_vec(order, units * rows, &self.device)?, 0)
        };
        let positions = gather(&self.positions.rows()?.to_dtype(all.dtype())?, places)?;
        let mut x_re = ops::add(&gather(&all, order)?, &positions)?;
        let lens = vec![rows; units];
        for block in &self.blocks {
            x_re = block.forward(&x_re, None, &lens)?;
        }
        Ok(x_re)
    }
}
