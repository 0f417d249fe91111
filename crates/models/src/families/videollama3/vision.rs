//! NaViT encoder with 2D-RoPE, token merging (VideoLLaMA3 paper, section 2.1).
//!
//! Legend: N patches, P values of a patch, D width, V visual tokens.

use candle_core::{DType, Result, Tensor};

use super::config::VisionConfig;
use crate::contract::features::Patches;
use crate::error::ModelResult;
use crate::layers::{Bias, Gelu, LayerNorm, Linear, NormPlacement, VitBlock, VitConfig};
use crate::ops::RopeTables;
use crate::weights::{ParameterRole, Weights};

/// Spread of the query and key biases at the start of training. Under rotary positions two biases make a score that
/// depends on the distance alone, so that heads look at certain distances from the first step on. With biases of zero
/// the model learns where things are after several times as many steps. Such biases in the decoder, too, double the
/// number of steps (docs/LOG.md).
const POSITION_STD: f32 = 1.5;

/// The encoder: patches to one row per patch.
pub(super) struct VisionEncoder {
    patch_embedding: Linear,
    blocks: Vec<VitBlock>,
    post_norm: LayerNorm,
    config: VisionConfig,
}

impl VisionEncoder {
    /// Reads the tensors below `model.vision_model`.
    pub(super) fn load(w: &Weights, c: &VisionConfig) -> ModelResult<Self> {
        let kernel = [c.hidden, c.channels, c.patch, c.patch];
        let embedding = w.sub("embeddings.patch_embedding");
        let block = VitConfig {
            hidden: c.hidden,
            heads: c.heads,
            intermediate: c.intermediate,
            eps: c.eps,
            norms: NormPlacement::Pre,
            gelu: Gelu::Tanh,
            qk_bias: Bias::Normal(POSITION_STD),
        };
        let blocks = (0..c.layers).map(|i| VitBlock::load(&w.sub("encoder.layers").sub(i), block));
        Ok(VisionEncoder {
            patch_embedding: Linear::load_as(&embedding, &kernel, Bias::Zero, ParameterRole::PatchEmbedding)?,
            blocks: blocks.collect::<ModelResult<_>>()?,
            post_norm: LayerNorm::load(&w.sub("post_layernorm"), c.hidden, c.eps)?,
            config: c.clone(),
        })
    }

    /// `[N, P]` pixels to `[N, D]` features; every frame is a unit, its patches lie in blocks of `merge x merge`. With
    /// `kept_alone`, N of the result are the patches of the blocks that units keep, and the encoder sees no others.
    pub(super) fn forward(&self, patches: &Patches, merge: usize, kept_alone: bool, dtype: DType) -> Result<Tensor> {
        let (mut angles, mut units, mut seen, mut first) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for unit in &patches.units {
            let [_, rows, cols] = unit.grid;
            let keep = unit.keep.as_deref().filter(|_| kept_alone);
            let is_seen = |patch: usize| keep.is_none_or(|keep| keep[patch / (merge * merge)]);
            let before = seen.len();
            seen.extend((0..unit.patches()).filter(|patch| is_seen(*patch)).map(|patch| (first + patch) as u32));
            let places = block_order(rows, cols, merge).enumerate().filter(|(patch, _)| is_seen(*patch));
            self.rope_2d_angles(places.map(|(_, place)| place), &mut angles);
            units.push(seen.len() - before);
            first += unit.patches();
        }
        let rope = RopeTables::new(&angles, self.config.head_dim() / 2);
        let pixels = match seen.len() == first {
            true => patches.pixels.clone(),
            false => {
                let seen = Tensor::from_slice(&seen, seen.len(), patches.pixels.device())?;
                patches.pixels.index_select(&seen, 0)?
            }
        };
        let mut x_nd = self.patch_embedding.forward(&pixels.to_dtype(dtype)?)?;
        for block in &self.blocks {
            x_nd = block.forward(&x_nd, Some(&rope), &units)?;
        }
        self.post_norm.forward(&x_nd)
    }

    /// Rotary angles of patches at (row, column): a quarter of the head for the row, a quarter for the column.
    fn rope_2d_angles(&self, places: impl Iterator<Item = (usize, usize)>, angles: &mut Vec<f32>) {
        let quarter = self.config.head_dim() / 4;
        let dim = (2 * quarter) as f32;
        let inverse: Vec<f32> =
            (0..quarter).map(|k| 1.0 / (self.config.rope_theta as f32).powf((2 * k) as f32 / dim)).collect();
        for (row, col) in places {
            angles.extend(inverse.iter().map(|f| row as f32 * f));
            angles.extend(inverse.iter().map(|f| col as f32 * f));
        }
    }
}

/// (row, column) of every patch of a frame: `merge x merge` blocks in raster order, raster order inside a block.
fn block_order(rows: usize, cols: usize, merge: usize) -> impl Iterator<Item = (usize, usize)> {
    let block = merge * merge;
    (0..rows * cols).map(move |i| {
        let (b, inside) = (i / block, i % block);
        let (row, col) = (b / (cols / merge), b % (cols / merge));
        (row * merge + inside / merge, col * merge + inside % merge)
    })
}

/// Bilinear resize of every frame's features to one row per block (half-pixel centers, no antialiasing): the sample
/// point is the middle of the block, so the result is the mean of its middle patches. `[N, D]` to `[N / merge^2, D]`.
pub(super) fn merge_tokens(x_nd: &Tensor, merge: usize) -> Result<Tensor> {
    if merge == 1 {
        return Ok(x_nd.clone());
    }
    let (n, d) = x_nd.dims2()?;
    let block = merge * merge;
    let x_vbd = x_nd.reshape((n / block, block, d))?;
    let middle: &[usize] = if merge.is_multiple_of(2) { &[merge / 2 - 1, merge / 2] } else { &[merge / 2] };
    let mut sum: Option<Tensor> = None;
    for (row, col) in middle.iter().flat_map(|r| middle.iter().map(move |c| (r, c))) {
        let one = x_vbd.narrow(1, row * merge + col, 1)?;
        sum = Some(match sum {
            Some(sum) => (sum + one)?,
            None => one,
        });
    }
    match sum {
        Some(sum) => (sum / (middle.len() * middle.len()) as f64)?.reshape((n / block, d)),
        None => candle_core::bail!("merge side {merge}"),
    }
}
