//! Qwen2 decoder: RMSNorm, grouped-query attention with rotary positions, SwiGLU.
//!
//! Legend: T tokens, D width, H query heads, K key heads, C width of a head, W vocabulary.

use candle_core::{DType, Device, Result, Tensor};
use zoetrope_kernels::packed::Kind;

use super::config::LanguageConfig;
use crate::error::Loaded;
use crate::parts::cache::{KvCache, KvDtype, Memory};
use crate::parts::linear::{Embedding, Linear, Norm, RmsNorm};
use crate::parts::mlp::Mlp;
use crate::parts::ops::{self, Rotary};
use crate::parts::weights::Weights;

struct Layer {
    input_norm: RmsNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    post_norm: RmsNorm,
    mlp: Mlp,
}

impl Layer {
    fn load(w: &Weights, c: &LanguageConfig) -> Loaded<Self> {
        let (d, i) = (c.hidden, c.intermediate);
        let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let (attention, mlp) = (w.at("self_attn"), w.at("mlp"));
        Ok(Layer {
            input_norm: RmsNorm::load(&w.at("input_layernorm"), d, c.eps)?,
            q: Linear::load(&attention.at("q_proj"), d, q, true)?,
            k: Linear::load(&attention.at("k_proj"), d, kv, true)?,
            v: Linear::load(&attention.at("v_proj"), d, kv, true)?,
            o: Linear::load(&attention.at("o_proj"), q, d, false)?,
            post_norm: RmsNorm::load(&w.at("post_attention_layernorm"), d, c.eps)?,
            mlp: Mlp::swiglu(
                Linear::load(&mlp.at("gate_proj"), d, i, false)?,
                Linear::load(&mlp.at("up_proj"), d, i, false)?,
                Linear::load(&mlp.at("down_proj"), i, d, false)?,
            ),
        })
    }
}

/// Rotary table of some rows and the (queries, keys) of each of their sequences.
struct Places {
    rotary: Rotary,
    segments: Vec<(usize, usize)>,
}

impl Places {
    /// Those of the last `n` of `t` rows; when they are not all, of one sequence.
    fn last(&self, t: usize, n: usize) -> (Rotary, Vec<(usize, usize)>) {
        if n == t {
            return (self.rotary.clone(), self.segments.clone());
        }
        let keys = self.segments.iter().map(|(_, keys)| keys).sum();
        (self.rotary.last(n), vec![(n, keys)])
    }
}

/// How many of the last of `t` rows must come out of the last layer so that `rows` are among them. All, unless one
/// sequence continues.
fn needed(t: usize, memory: &Memory<'_>, rows: &[usize]) -> usize {
    match memory {
        Memory::Cache(_) => rows.iter().min().map_or(0, |first| t - (*first).min(t)),
        Memory::Packed(_) => t,
    }
}

/// The decoder with its embedding and output matrices.
pub(super) struct LanguageModel {
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Linear,
    /// What attention computes in.
    products: Kind,
    config: LanguageConfig,
}

impl LanguageModel {
    /// Reads the tensors below `model.language_model` and `lm_head` (absent when tied).
    pub(super) fn load(root: &Weights, c: &LanguageConfig) -> Loaded<Self> {
        let w = root.at("model.language_model");
        let embedding = Embedding::load(&w.at("embed_tokens"), c.vocabulary, c.hidden)?;
        let layers = (0..c.layers).map(|i| Layer::load(&w.at("layers").at(i), c)).collect::<Loaded<_>>()?;
        let norm = RmsNorm::load(&w.at("norm"), c.hidden, c.eps)?;
        // Some versions of transformers store the output matrix although the flag says it is tied.
        let head = match &embedding {
            _ if !c.tied || root.has("lm_head.weight") => {
                Linear::load(&root.at("lm_head"), c.hidden, c.vocabulary, false)?
            }
            Embedding::Tensor(all) => Linear::new(all.clone(), None),
            Embedding::Table(_) => Linear::load(&w.at("embed_tokens"), c.hidden, c.vocabulary, false)?,
        };
        Ok(LanguageModel { embedding, layers, norm, head, products: root.attention(), config: c.clone() })
    }

    /// `[T]` ids to `[T, D]` rows.
    pub(super) fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        self.embedding.forward(ids)
    }

    /// Rows `[T, D]` to logits `[rows.len(), W]` in f32.
    pub(super) fn forward(&self, x_td: &Tensor, memory: &mut Memory<'_>, rows: &[usize]) -> Result<Tensor> {
        let t = x_td.dim(0)?;
        let places = self.places(t, memory)?;
        let mut x_td = x_td.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            // After the last layer's keys and values nobody reads rows without logits.
            let needed = if i + 1 == self.layers.len() { needed(t, memory, rows) } else { t };
            x_td = self.layer(i, layer, &x_td, &places, memory, needed)?;
        }
        if let Memory::Cache(cache) = memory {
            cache.advance(t);
        }
        let left = x_td.dim(0)?;
        if rows.is_empty() {
            return Tensor::zeros((0, self.config.vocabulary), DType::F32, x_td.device());
        }
        let rows: Vec<u32> = rows.iter().map(|&r| (r + left - t) as u32).collect();
        let x_rd = x_td.index_select(&Tensor::from_slice(&rows, rows.len(), x_td.device())?, 0)?;
        let [y_rw] = Linear::forward_all(Norm::Rms(&self.norm), [&self.head], &x_rd)?;
        y_rw.to_dtype(DType::F32)
    }

    /// Only the last `needed` rows come out.
    fn layer(
        &self,
        index: usize,
        layer: &Layer,
        x_td: &Tensor,
        places: &Places,
        memory: &mut Memory<'_>,
        needed: usize,
    ) -> Result<Tensor> {
        let c = &self.config;
        let t = x_td.dim(0)?;
        let norm = Norm::Rms(&layer.input_norm);
        let last = |x_td: &Tensor| x_td.narrow(0, t - needed, needed);
        let (q, k, v, x_td) = if needed == t {
            let [q, k, v] = Linear::forward_all(norm, [&layer.q, &layer.k, &layer.v], x_td)?;
            (q, k, v, x_td.clone())
        } else {
            let ([k, v], x_nd) = (Linear::forward_all(norm, [&layer.k, &layer.v], x_td)?, last(x_td)?);
            let [q] = Linear::forward_all(norm, [&layer.q], &x_nd)?;
            (q, k, v, x_nd)
        };
        let k_tkc = ops::rope(&k.reshape((t, c.kv_heads, c.head_dim))?, &places.rotary)?;
        let v_tkc = v.reshape((t, c.kv_heads, c.head_dim))?;
        let (k_skc, v_skc) = match memory {
            Memory::Packed(_) => (k_tkc.into(), v_tkc.into()),
            Memory::Cache(cache) => cache.append(index, &k_tkc, &v_tkc)?,
        };
        if needed == 0 {
            return Ok(x_td);
        }
        let (rotary, segments) = places.last(t, needed);
        let q_thc = ops::rope(&q.reshape((needed, c.heads, c.head_dim))?, &rotary)?;
        let scale = (c.head_dim as f64).powf(-0.5);
        let y_thc = ops::attention(self.products, &q_thc, &k_skc, &v_skc, &segments, true, scale)?;
        let x_td = layer.o.forward_added(&y_thc.reshape((needed, c.heads * c.head_dim))?, &x_td)?;
        layer.mlp.forward(Norm::Rms(&layer.post_norm), &x_td, Some(&x_td))
    }

    /// Where the next `t` rows stand.
    fn places(&self, t: usize, memory: &Memory<'_>) -> Result<Places> {
        let (positions, segments): (Vec<usize>, Vec<(usize, usize)>) = match memory {
            Memory::Packed(lens) => {
                if lens.iter().sum::<usize>() != t {
                    candle_core::bail!("packed sequences of {lens:?} tokens do not make {t} rows")
                }
                (lens.iter().flat_map(|&n| 0..n).collect(), lens.iter().map(|&n| (n, n)).collect())
            }
            Memory::Cache(cache) => ((cache.len()..cache.len() + t).collect(), vec![(t, cache.len() + t)]),
        };
        let half = self.config.head_dim / 2;
        let dim = self.config.head_dim as f32;
        let inverse: Vec<f32> =
            (0..half).map(|k| 1.0 / (self.config.rope_theta as f32).powf((2 * k) as f32 / dim)).collect();
        let angles: Vec<f32> = positions.iter().flat_map(|&p| inverse.iter().map(move |f| p as f32 * f)).collect();
        Ok(Places { rotary: Rotary::new(&angles, half), segments })
    }

    /// An empty cache of this model.
    pub(super) fn new_cache(&self, capacity: usize, dtype: KvDtype, device: &Device) -> Result<KvCache> {
        KvCache::new(self.config.layers, capacity, self.config.kv_heads, self.config.head_dim, dtype, device)
    }
}
