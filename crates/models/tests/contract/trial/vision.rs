//! Encoder: a ViT whose blocks normalize after attention and MLP, with learned positions in space and time.
//!
//! Legend: N patches, P values of a patch, E width.

use candle_core::{DType, Device, Result, Tensor};
use zoetrope_models::contract::features::Patches;
use zoetrope_models::error::ModelResult;
use zoetrope_models::layers::{Bias, Gelu, Linear, NormPlacement, VitBlock, VitConfig};
use zoetrope_models::ops;
use zoetrope_models::weights::{ParameterRole, Weights};

use super::config::VisionConfig;

/// The encoder: patches to one row per patch.
pub(super) struct VisionEncoder {
    patch_embedding: Linear,
    /// Rows of the grid, its columns, then frames: `[2 grid + max_frames, E]`.
    positions: Tensor,
    blocks: Vec<VitBlock>,
    config: VisionConfig,
    dtype: DType,
    device: Device,
}

impl VisionEncoder {
    /// Reads the tensors below `vision`.
    pub(super) fn load(w: &Weights, c: &VisionConfig) -> ModelResult<Self> {
        let block = VitConfig {
            hidden: c.hidden,
            heads: c.heads,
            intermediate: c.intermediate,
            eps: c.eps,
            norms: NormPlacement::Post,
            gelu: Gelu::Erf,
            qk_bias: Bias::Zero,
        };
        let patch = [c.hidden, 3, c.patch, c.patch];
        let blocks = (0..c.layers).map(|i| VitBlock::load(&w.sub("blocks").sub(i), block));
        Ok(VisionEncoder {
            patch_embedding: Linear::load_as(
                &w.sub("patch_embedding"),
                &patch,
                Bias::Zero,
                ParameterRole::PatchEmbedding,
            )?,
            positions: w.get(&[2 * c.grid + c.max_frames, c.hidden], "positions.weight", ParameterRole::Embedding)?,
            blocks: blocks.collect::<ModelResult<_>>()?,
            config: c.clone(),
            dtype: w.dtype(),
            device: w.device().clone(),
        })
    }

    /// `[N, P]` pixels to `[N, E]` features; attention stays in each unit.
    pub(super) fn forward(&self, patches: &Patches) -> Result<Tensor> {
        let x_np = patches.pixels.to_device(&self.device)?.to_dtype(self.dtype)?;
        let mut x_ne = self.patch_embedding.forward(&x_np)?;
        for axis in self.places(patches) {
            let axis = Tensor::from_vec(axis, x_ne.dim(0)?, &self.device)?;
            x_ne = ops::add(&x_ne, &self.positions.index_select(&axis, 0)?)?;
        }
        let units: Vec<usize> = patches.units.iter().map(|unit| unit.patches()).collect();
        for block in &self.blocks {
            x_ne = block.forward(&x_ne, None, &units)?;
        }
        Ok(x_ne)
    }

    /// For row, column and frame of each patch: the row of `positions`.
    fn places(&self, patches: &Patches) -> [Vec<u32>; 3] {
        let grid = self.config.grid;
        let mut places = [Vec::new(), Vec::new(), Vec::new()];
        for unit in &patches.units {
            let [_, rows, cols] = unit.grid;
            for patch in 0..unit.patches() {
                let at = [patch / cols % rows, grid + patch % cols, 2 * grid + patch / (rows * cols)];
                places.iter_mut().zip(at).for_each(|(axis, place)| axis.push(place as u32));
            }
        }
        places
    }
}
