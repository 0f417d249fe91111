//! The block of a vision transformer (ViT, arXiv 2010.11929), as all families have it.
//!
//! Legend: N patches, D width, H heads, C width of a head.

use candle_core::{Result, Tensor};
use zoetrope_kernels::gemm::WeightType;

use super::linear::{Bias, Linear};
use super::mlp::Mlp;
use super::norm::{LayerNorm, PreNorm};
use crate::error::ModelResult;
use crate::ops::{self, AttentionOptions, RopeTables};
use crate::weights::Weights;

/// Where a block normalizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormPlacement {
    /// `x + f(norm(x))`: CLIP, EVA.
    Pre,
    /// `x + norm(f(x))`: EVA2-CLIP-E.
    Post,
}

/// The activation of a block's MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gelu {
    /// The tanh form.
    Tanh,
    /// The error function.
    Erf,
}

/// Sizes and form of a block.
#[derive(Clone, Copy, Debug)]
pub struct VitConfig {
    /// Width D.
    pub hidden: usize,
    /// Heads H; divides D.
    pub heads: usize,
    /// Width inside the MLP.
    pub intermediate: usize,
    /// LayerNorm epsilon.
    pub eps: f64,
    /// Where it normalizes.
    pub norms: NormPlacement,
    /// The MLP's activation.
    pub gelu: Gelu,
    /// Biases of query, key and value: whether there are any, and how they start.
    pub qk_bias: Bias,
}

/// One block.
#[derive(Clone)]
pub struct VitBlock {
    norm1: LayerNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    norm2: LayerNorm,
    mlp: Mlp,
    compute: WeightType,
    /// Whether it is recomputed, and whether it has variables then.
    recompute: Option<bool>,
    config: VitConfig,
}

impl VitBlock {
    /// Reads `layer_norm1`, `self_attn.{q,k,v,out}_proj`, `layer_norm2` and `mlp.{fc1,fc2}` below `w`.
    pub fn load(w: &Weights, c: VitConfig) -> ModelResult<Self> {
        let d = c.hidden;
        let project = |name: &str, bias: Bias| Linear::load(&w.sub("self_attn").sub(name), d, d, bias);
        let first = Linear::load(&w.sub("mlp.fc1"), d, c.intermediate, Bias::Zero)?;
        let second = Linear::load(&w.sub("mlp.fc2"), c.intermediate, d, Bias::Zero)?;
        Ok(VitBlock {
            norm1: LayerNorm::load(&w.sub("layer_norm1"), d, c.eps)?,
            q: project("q_proj", c.qk_bias)?,
            k: project("k_proj", c.qk_bias)?,
            v: project("v_proj", Bias::when(c.qk_bias != Bias::None))?,
            out: project("out_proj", Bias::Zero)?,
            norm2: LayerNorm::load(&w.sub("layer_norm2"), d, c.eps)?,
            mlp: match c.gelu {
                Gelu::Tanh => Mlp::gelu_tanh(first, second),
                Gelu::Erf => Mlp::gelu_erf(first, second),
            },
            compute: w.attention_compute(),
            recompute: w.recompute(),
            config: c,
        })
    }

    /// Rows `[N, D]` to `[N, D]`; attention is full inside each of the runs of `units` rows and never leaves one.
    pub fn forward(&self, x_nd: &Tensor, rope: Option<&RopeTables>, units: &[usize]) -> Result<Tensor> {
        match self.recompute {
            None => self.compute(x_nd, rope, units),
            Some(learned) => {
                let (block, rope, units) = (self.clone(), rope.cloned(), units.to_vec());
                ops::recomputed(x_nd, learned, move |x_nd| block.compute(x_nd, rope.as_ref(), &units))
            }
        }
    }

    fn compute(&self, x_nd: &Tensor, rope: Option<&RopeTables>, units: &[usize]) -> Result<Tensor> {
        match self.config.norms {
            NormPlacement::Pre => {
                let y_nd = self.attention(PreNorm::Layer(&self.norm1), x_nd, rope, units)?;
                let x_nd = self.out.forward_residual(&y_nd, x_nd)?;
                self.mlp.forward(PreNorm::Layer(&self.norm2), &x_nd, Some(&x_nd))
            }
            NormPlacement::Post => {
                let y_nd = self.attention(PreNorm::None, x_nd, rope, units)?;
                let x_nd = ops::add(x_nd, &self.norm1.forward(&self.out.forward(&y_nd)?)?)?;
                let y_nd = self.mlp.forward(PreNorm::None, &x_nd, None)?;
                ops::add(&x_nd, &self.norm2.forward(&y_nd)?)
            }
        }
    }

    /// Attention of `norm(x)`, before the output matrix.
    fn attention(
        &self,
        norm: PreNorm<'_>,
        x_nd: &Tensor,
        rope: Option<&RopeTables>,
        units: &[usize],
    ) -> Result<Tensor> {
        let (n, d) = x_nd.dims2()?;
        let c = d / self.config.heads;
        let split = |y_nd: Tensor| y_nd.reshape((n, self.config.heads, c));
        let rotate = |y_nhc: Tensor| rope.map_or(Ok(y_nhc.clone()), |tables| ops::rope(&y_nhc, tables));
        let [q_nd, k_nd, v_nd] = Linear::forward_fused(norm, [&self.q, &self.k, &self.v], x_nd)?;
        let (q_nhc, k_nhc, v_nhc) = (rotate(split(q_nd)?)?, rotate(split(k_nd)?)?, split(v_nd)?);
        let options = AttentionOptions { compute: self.compute, causal: false, scale: (c as f64).powf(-0.5) };
        let units: Vec<(usize, usize)> = units.iter().map(|&n| (n, n)).collect();
        ops::attention(options, &q_nhc, &k_nhc, &v_nhc, &units)?.reshape((n, d))
    }
}
