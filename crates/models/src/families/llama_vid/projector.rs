//! Two kinds of visual tokens of a frame: a context token, which depends on the question, and content tokens, which do
//! not (LLaMA-VID, arXiv 2311.17043, section 3.1).
//!
//! Legend: U frames, R feature rows of a frame, N = R - 1 patches, E their width, Q queries, D width of the Q-Former,
//! n content tokens, H width of the decoder.

use candle_core::{DType, Device, Result, Tensor};

use super::config::Config;
use crate::contract::features::Features;
use crate::error::ModelResult;
use crate::layers::{Bias, LayerNorm, Linear, Mlp, PreNorm, QFormer};
use crate::ops::{self, AttentionOptions};
use crate::weights::{ParameterRole, WeightType, Weights};

/// Frames that are projected at once, so that memory does not grow with the film.
const FRAMES: usize = 16;

/// `vlm_att_ln` has PyTorch's default.
const FEATURE_NORM_EPS: f64 = 1e-5;

/// From features to visual tokens.
pub(super) struct Projector {
    /// `[1, Q, D]`.
    queries: Tensor,
    feature_norm: Option<LayerNorm>,
    qformer: QFormer,
    text: Linear,
    key: Linear,
    value: Linear,
    content: Mlp,
    compute: WeightType,
    dtype: DType,
    device: Device,
    grid: usize,
}

/// How the frames of some media are projected.
#[derive(Clone, Copy)]
pub(super) struct Projection<'a> {
    /// The question for the Q-Former, as ids of its tokenizer.
    pub words: &'a [u32],
    /// Whether the Q-Former looks at the class token, too. Films were stored without it.
    pub sees_class: bool,
    /// Patches on a side of a content token; 1 for a token a patch.
    pub pool: usize,
}

impl Projector {
    /// Reads `vlm_att_*` and `mm_projector` below `model`.
    pub(super) fn load(w: &Weights, c: &Config) -> ModelResult<Self> {
        let (e, d, h) = (c.vision.hidden, c.qformer.hidden, c.language.hidden);
        let linear = |name: &str, input: usize, output: usize| Linear::load(&w.sub(name), input, output, Bias::Zero);
        let norm = || LayerNorm::load(&w.sub("vlm_att_ln"), e, FEATURE_NORM_EPS);
        Ok(Projector {
            queries: w.get(&[1, c.queries, d], "vlm_att_query", ParameterRole::Embedding)?,
            feature_norm: c.feature_norm.then(norm).transpose()?,
            qformer: QFormer::load(&w.sub("vlm_att_encoder.bert"), c.qformer)?,
            text: linear("vlm_att_projector", d, e)?,
            key: linear("vlm_att_key_projector", e, e)?,
            value: linear("vlm_att_val_projector", e, h)?,
            content: Mlp::gelu_erf(linear("mm_projector.0", e, h)?, linear("mm_projector.2", h, h)?),
            compute: w.attention_compute(),
            dtype: w.dtype(),
            device: w.device().clone(),
            grid: c.vision.grid(),
        })
    }

    /// Visual tokens `[U * (1 + n), H]`: of each frame its context token, then its content tokens.
    pub(super) fn forward(&self, features: &Features, how: Projection<'_>) -> ModelResult<Tensor> {
        let frames = features.per_unit.len();
        let pool = self.pool_weights(how.pool)?;
        let mut parts = Vec::with_capacity(frames.div_ceil(FRAMES));
        for first in (0..frames).step_by(FRAMES) {
            let own = features.units(first..frames.min(first + FRAMES))?;
            parts.push(self.project(&own, how, pool.as_ref())?);
        }
        Ok(if let [one] = &parts[..] { one.clone() } else { Tensor::cat(&parts, 0)? })
    }

    fn project(&self, features: &Features, how: Projection<'_>, pool: Option<&Tensor>) -> Result<Tensor> {
        let (u, n) = (features.per_unit.len(), self.grid * self.grid);
        let rows_re = features.rows.to_device(&self.device)?.to_dtype(self.dtype)?;
        let e = rows_re.dim(1)?;
        let x_une = rows_re.reshape((u, n + 1, e))?.narrow(1, 1, n)?.contiguous()?;
        let patches = x_une.reshape((u * n, e))?;
        let (source, seen) = if how.sees_class { (&rows_re, n + 1) } else { (&patches, n) };
        let context_uh = self.context(source, seen, &patches, u, how.words)?;
        let content = match pool {
            Some(pool) => pool.broadcast_left(u)?.contiguous()?.matmul(&x_une)?.reshape((u * pool.dim(0)?, e))?,
            None => patches,
        };
        let content = self.content.forward(PreNorm::None, &content, None)?;
        let (tokens, h) = (content.dim(0)? / u.max(1), content.dim(1)?);
        let both = [context_uh.unsqueeze(1)?, content.reshape((u, tokens, h))?];
        Tensor::cat(&both, 1)?.reshape((u * (1 + tokens), h))
    }

    /// The context tokens `[U, H]`: what the queries, which have heard the question, find among the patches. Keys are
    /// projected, values are the features as they are. The mean over the queries comes before the last projection.
    fn context(&self, source: &Tensor, seen: usize, patches: &Tensor, u: usize, words: &[u32]) -> Result<Tensor> {
        let (un, e) = patches.dims2()?;
        let normed = self.feature_norm.as_ref().map(|norm| norm.forward(source)).transpose()?;
        let queries_qd = self.queries.squeeze(0)?;
        let q = queries_qd.dim(0)?;
        let found = self.qformer.forward(&queries_qd, words, normed.as_ref().unwrap_or(source), &vec![seen; u])?;
        let (q_qe, k_ne) = (self.text.forward(&found)?, self.key.forward(patches)?);
        let options = AttentionOptions { compute: self.compute, causal: false, scale: (e as f64).powf(-0.5) };
        let one_head = |x: &Tensor, rows: usize| x.reshape((rows, 1, e));
        let lens = vec![(q, un / u.max(1)); u];
        let (q_q1e, k_n1e) = (one_head(&q_qe, u * q)?, one_head(&k_ne, un)?);
        let seen = ops::attention(options, &q_q1e, &k_n1e, &one_head(patches, un)?, &lens)?;
        self.value.forward(&seen.reshape((u, q, e))?.mean(1)?)
    }

    /// Averages over squares of `pool x pool` patches as a matrix `[n, N]`; patches that make no whole square count
    /// nowhere.
    fn pool_weights(&self, pool: usize) -> Result<Option<Tensor>> {
        let (grid, side) = (self.grid, self.grid / pool);
        if pool == 1 {
            return Ok(None);
        }
        let mut weights = vec![0.0f32; side * side * grid * grid];
        for (token, weights) in weights.chunks_mut(grid * grid).enumerate() {
            let (top, left) = (token / side * pool, token % side * pool);
            for row in top..top + pool {
                weights[row * grid + left..row * grid + left + pool].fill(1.0 / (pool * pool) as f32);
            }
        }
        let weights = Tensor::from_vec(weights, (side * side, grid * grid), &Device::Cpu)?;
        Ok(Some(weights.to_device(&self.device)?.to_dtype(self.dtype)?))
    }
}
