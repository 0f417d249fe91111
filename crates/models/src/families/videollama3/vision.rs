//! NaViT encoder with 2D-RoPE, token merging and the projector (VideoLLaMA3 paper, section 2.1).
//!
//! Legend: N patches, P values of a patch, D width, H heads, C width of a head, V visual tokens, L language width.

use candle_core::{DType, Result, Tensor};
use zoetrope_kernels::packed::Kind;

use super::config::VisionConfig;
use crate::contract::Patches;
use crate::error::Loaded;
use crate::parts::linear::{LayerNorm, Linear, Norm};
use crate::parts::mlp::Mlp;
use crate::parts::ops::{self, Rotary};
use crate::parts::weights::Weights;

struct Layer {
    norm1: LayerNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    norm2: LayerNorm,
    mlp: Mlp,
    heads: usize,
    /// What attention computes in.
    products: Kind,
}

impl Layer {
    fn load(w: &Weights, c: &VisionConfig) -> Loaded<Self> {
        let d = c.hidden;
        let project = |name: &str| Linear::load(&w.at("self_attn").at(name), d, d, true);
        Ok(Layer {
            norm1: LayerNorm::load(&w.at("layer_norm1"), d, c.eps)?,
            q: project("q_proj")?,
            k: project("k_proj")?,
            v: project("v_proj")?,
            out: project("out_proj")?,
            norm2: LayerNorm::load(&w.at("layer_norm2"), d, c.eps)?,
            mlp: Mlp::gelu_tanh(
                Linear::load(&w.at("mlp.fc1"), d, c.intermediate, true)?,
                Linear::load(&w.at("mlp.fc2"), c.intermediate, d, true)?,
            ),
            heads: c.heads,
            products: w.attention(),
        })
    }

    fn forward(&self, x_nd: &Tensor, rotary: &Rotary, frames: &[(usize, usize)]) -> Result<Tensor> {
        let (n, d) = x_nd.dims2()?;
        let c = d / self.heads;
        let split = |y_nd: Tensor| y_nd.reshape((n, self.heads, c));
        let [q_nd, k_nd, v_nd] = Linear::forward_all(Norm::Layer(&self.norm1), [&self.q, &self.k, &self.v], x_nd)?;
        let (q_nhc, k_nhc) = (ops::rope(&split(q_nd)?, rotary)?, ops::rope(&split(k_nd)?, rotary)?);
        let v_nhc = split(v_nd)?;
        let scale = (c as f64).powf(-0.5);
        let y_nd = ops::attention(self.products, &q_nhc, &k_nhc.into(), &v_nhc.into(), frames, false, scale)?
            .reshape((n, d))?;
        let x_nd = self.out.forward_added(&y_nd, x_nd)?;
        self.mlp.forward(Norm::Layer(&self.norm2), &x_nd, Some(&x_nd))
    }
}

/// The encoder: patches to one row a patch.
pub(super) struct VisionEncoder {
    patch_embedding: Linear,
    layers: Vec<Layer>,
    post_norm: LayerNorm,
    config: VisionConfig,
}

impl VisionEncoder {
    /// Reads the tensors below `model.vision_model`.
    pub(super) fn load(w: &Weights, c: &VisionConfig) -> Loaded<Self> {
        let embedding = w.at("embeddings.patch_embedding");
        let kernel = [c.hidden, c.channels, c.patch, c.patch];
        let layers = (0..c.layers).map(|i| Layer::load(&w.at("encoder.layers").at(i), c)).collect::<Loaded<_>>()?;
        Ok(VisionEncoder {
            patch_embedding: Linear::load_as(&embedding, &kernel, true)?,
            layers,
            post_norm: LayerNorm::load(&w.at("post_layernorm"), c.hidden, c.eps)?,
            config: c.clone(),
        })
    }

    /// `[N, P]` pixels to `[N, D]` features; attention is full inside a frame and never leaves it.
    pub(super) fn forward(&self, patches: &Patches, dtype: DType) -> Result<Tensor> {
        let (rows, cols) = patches.grid;
        let angles = self.angles(rows, cols, patches.merge);
        let all = angles.repeat(patches.frames);
        let rotary = Rotary::new(&all, self.config.head_dim() / 2);
        let frames = vec![(rows * cols, rows * cols); patches.frames];
        let mut x_nd = self.patch_embedding.forward(&patches.pixels.to_dtype(dtype)?)?;
        for layer in &self.layers {
            x_nd = layer.forward(&x_nd, &rotary, &frames)?;
        }
        self.post_norm.forward(&x_nd)
    }

    /// Rotary angles of one frame's patches in block order: a quarter of the head for the row, a quarter for the
    /// column.
    fn angles(&self, rows: usize, cols: usize, merge: usize) -> Vec<f32> {
        let quarter = self.config.head_dim() / 4;
        let dim = (2 * quarter) as f32;
        let inverse: Vec<f32> =
            (0..quarter).map(|k| 1.0 / (self.config.rope_theta as f32).powf((2 * k) as f32 / dim)).collect();
        let mut angles = Vec::with_capacity(rows * cols * 2 * quarter);
        for (row, col) in block_order(rows, cols, merge) {
            angles.extend(inverse.iter().map(|f| row as f32 * f));
            angles.extend(inverse.iter().map(|f| col as f32 * f));
        }
        angles
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

/// Bilinear resize of every frame's features to one row a block (half-pixel centres, no antialias): the sample point
/// is the middle of the block, so the result is the mean of its middle patches. `[N, D]` to `[N / merge^2, D]`.
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

/// Two-layer projector with exact GELU.
pub(super) struct Projector(Mlp);

impl Projector {
    /// Reads the tensors below `model.projector`.
    pub(super) fn load(w: &Weights, vision: usize, language: usize) -> Loaded<Self> {
        let first = Linear::load(&w.at("readout.0"), vision, language, true)?;
        Ok(Projector(Mlp::gelu_erf(first, Linear::load(&w.at("readout.2"), language, language, true)?)))
    }

    /// `[V, D]` to `[V, L]`.
    pub(super) fn forward(&self, x_vd: &Tensor) -> Result<Tensor> {
        self.0.forward(Norm::None, x_vd, None)
    }
}
