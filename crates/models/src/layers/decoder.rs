//! The Llama form of a decoder: RMSNorm, grouped-query attention with RoPE, SwiGLU. Llama, Vicuna, Mistral and Qwen2
//! differ in a few fields of [`DecoderConfig`].
//!
//! Legend: T rows, Q queries, D width, H query heads, K key heads, C width of a head, W vocabulary.

use std::sync::Arc;

use candle_core::{DType, Result, Tensor, bail};
use zoetrope_kernels::gemm::WeightType;

use super::embedding::Embedding;
use super::experts::ExpertRows;
use super::linear::{Bias, Linear};
use super::mlp::Mlp;
use super::norm::{PreNorm, RmsNorm};
use crate::contract::position::Position;
use crate::error::ModelResult;
use crate::kv::{KvContext, KvShape, QueryRows};
use crate::ops::{self, AttentionOptions, RopeTables};
use crate::weights::{ParameterGroup, ParameterRole, Weights};

/// Sizes and form of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Width D.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads H.
    pub heads: usize,
    /// Key and value heads K; divides H.
    pub kv_heads: usize,
    /// Width of a head C; even.
    pub head_dim: usize,
    /// Width inside the MLP.
    pub intermediate: usize,
    /// Vocabulary rows W.
    pub vocabulary: usize,
    /// RMSNorm epsilon.
    pub eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Positions are divided by it (linear scaling); 1 for none.
    pub rope_scaling: f64,
    /// Divisors of single rotary frequencies, C / 2 of them (LongRoPE, arXiv 2402.13753); empty for none.
    pub rope_factors: Vec<f32>,
    /// Factor on rotated queries and on rotated keys (LongRoPE); 1 for none.
    pub rope_amplitude: f64,
    /// Positions the checkpoint was made for.
    pub max_positions: usize,
    /// Whether query, key and value have biases (Qwen2).
    pub qkv_bias: bool,
    /// Whether those of the experts after the first have biases.
    pub expert_qkv_bias: bool,
    /// Whether the output head is the embedding.
    pub tied: bool,
    /// Sets of attention and MLP matrices of a layer; [`Position::expert`] says which one a row goes through.
    pub experts: usize,
}

impl DecoderConfig {
    /// What one position costs in the KV cache.
    pub fn kv(&self) -> KvShape {
        KvShape { layers: self.layers, heads: self.kv_heads, width: self.head_dim }
    }

    /// Fails with the numbers that the forward pass could not divide by.
    pub fn check(&self) -> std::result::Result<(), String> {
        let (h, k, c) = (self.heads, self.kv_heads, self.head_dim);
        if h == 0 || k == 0 || !h.is_multiple_of(k) || !c.is_multiple_of(2) {
            return Err(format!("{h} heads of {c} over {k} key heads do not fit"));
        }
        let factors = &self.rope_factors;
        let usable = |factor: &f32| factor.is_finite() && *factor > 0.0;
        if !(factors.is_empty() || factors.len() == c / 2) || !factors.iter().all(usable) {
            return Err(format!("{} factors of {} rotary frequencies", factors.len(), c / 2));
        }
        if !(1..=256).contains(&self.experts) {
            return Err(format!("{} experts", self.experts));
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Layer {
    input_norm: RmsNorm,
    post_norm: RmsNorm,
    experts: Vec<Expert>,
}

/// The matrices of a layer.
#[derive(Clone)]
struct Expert {
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    mlp: Mlp,
}

impl Layer {
    fn load(w: &Weights, c: &DecoderConfig) -> ModelResult<Self> {
        let expert = |expert: usize| match expert {
            0 => Expert::load(w, c, Bias::when(c.qkv_bias)),
            _ => Expert::load(&w.sub("experts").sub(expert), c, Bias::when(c.expert_qkv_bias)),
        };
        Ok(Layer {
            input_norm: RmsNorm::load(&w.sub("input_layernorm"), c.hidden, c.eps)?,
            post_norm: RmsNorm::load(&w.sub("post_attention_layernorm"), c.hidden, c.eps)?,
            experts: (0..c.experts).map(expert).collect::<ModelResult<_>>()?,
        })
    }
}

impl Expert {
    fn load(w: &Weights, c: &DecoderConfig, bias: Bias) -> ModelResult<Self> {
        let (d, i) = (c.hidden, c.intermediate);
        let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let (attention, mlp) = (w.sub("self_attn").sensitive(), w.sub("mlp"));
        Ok(Expert {
            q: Linear::load(&attention.sub("q_proj"), d, q, bias)?,
            k: Linear::load(&attention.sub("k_proj"), d, kv, bias)?,
            v: Linear::load(&attention.sub("v_proj"), d, kv, bias)?,
            o: Linear::load(&attention.sub("o_proj"), q, d, Bias::None)?,
            mlp: Mlp::swiglu(
                Linear::load(&mlp.sub("gate_proj"), d, i, Bias::None)?,
                Linear::load(&mlp.sub("up_proj"), d, i, Bias::None)?,
                Linear::load(&mlp.sub("down_proj"), i, d, Bias::None)?,
            ),
        })
    }
}

/// What a layer needs to know of each row beside its values: the angles of its position, and its expert.
#[derive(Clone)]
struct RowTables {
    rope: RopeTables,
    experts: ExpertRows,
}

impl RowTables {
    fn select(&self, rows: &[u32]) -> Result<Self> {
        Ok(RowTables { rope: self.rope.select(rows), experts: self.experts.select(rows)? })
    }
}

/// A decoder with its embedding and output head.
pub struct Decoder {
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Linear,
    form: Arc<LayerForm>,
    /// Whether layers are recomputed, and whether they have variables then.
    recompute: Option<bool>,
}

/// What all layers have in common.
struct LayerForm {
    compute: WeightType,
    config: DecoderConfig,
}

impl Decoder {
    /// Reads `embed_tokens`, `layers.N` and `norm` below `w`, and the output matrix `head` (absent when tied). The
    /// matrices of the first expert lie in `layers.N`, those of the others in `layers.N.experts.E`.
    pub fn load(w: &Weights, head: &Weights, c: &DecoderConfig) -> ModelResult<Self> {
        let words = w.sub("embed_tokens").group(ParameterGroup::Embeddings);
        let head = head.group(ParameterGroup::Embeddings);
        let embedding = Embedding::load(&words, c.vocabulary, c.hidden)?;
        let layers = (0..c.layers).map(|i| Layer::load(&w.sub("layers").sub(i), c)).collect::<ModelResult<_>>()?;
        let norm = RmsNorm::load(&w.sub("norm"), c.hidden, c.eps)?;
        let load_head =
            |w: &Weights| Linear::load_as(w, &[c.vocabulary, c.hidden], Bias::None, ParameterRole::OutputHead);
        // Some versions of transformers store the output matrix although the flag says it is tied.
        let head = match &embedding {
            _ if !c.tied || head.has("weight") => load_head(&head.or_else(&words))?,
            Embedding::Tensor(all) => Linear::tied(&words, all)?,
            Embedding::Mapped(_) => load_head(&words)?,
        };
        let form = Arc::new(LayerForm { compute: w.attention_compute(), config: c.clone() });
        Ok(Decoder { embedding, layers, norm, head, form, recompute: w.recompute() })
    }

    /// Ids `[T]` to rows `[T, D]`.
    pub fn embed_tokens(&self, ids: &[u32]) -> Result<Tensor> {
        self.embedding.forward(ids)
    }

    /// Rows `x` `[T, D]` at `positions` `[T]` to logits `[rows.len(), W]` in f32.
    ///
    /// # Errors
    /// When the sizes do not fit, a row asks for an expert that there is not, or a gradient would be lost in a KV
    /// cache.
    pub fn forward(
        &self,
        x_td: &Tensor,
        positions: &[Position],
        context: &mut KvContext<'_>,
        rows: &[usize],
    ) -> Result<Tensor> {
        let t = x_td.dim(0)?;
        if positions.len() != t {
            bail!("{} positions for {t} rows", positions.len())
        }
        let experts =
            ExpertRows::new(positions.iter().map(|position| position.expert).collect(), self.form.config.experts)?;
        let tables = RowTables { rope: self.rope_tables(positions), experts };
        let all = context.all_rows(t)?;
        let last = context.rows_from_first(rows)?;
        let mut x_td = x_td.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            // After the last layer's keys and values, rows before the first one with logits are done.
            let queries = if i + 1 == self.layers.len() { &last } else { &all };
            x_td = match (self.recompute, &*context) {
                (Some(learned), KvContext::Varlen(lens)) => {
                    let (form, layer, tables) = (self.form.clone(), layer.clone(), tables.clone());
                    let (queries, lens) = (queries.clone(), lens.to_vec());
                    let again = move |x_td: &Tensor| {
                        form.layer(i, &layer, x_td, &tables, &queries, &mut KvContext::Varlen(&lens))
                    };
                    ops::recomputed(&x_td, learned, again)?
                }
                _ => self.form.layer(i, layer, &x_td, &tables, queries, context)?,
            };
        }
        if rows.is_empty() {
            // A part of something: an accelerator allocates no empty tensors.
            return Tensor::zeros((1, self.form.config.vocabulary), DType::F32, x_td.device())?.narrow(0, 0, 0);
        }
        let place = |row: &usize| last.rows.partition_point(|left| (*left as usize) < *row) as u32;
        let wanted: Vec<u32> = rows.iter().map(place).collect();
        let x_rd = x_td.index_select(&Tensor::from_vec(wanted, rows.len(), x_td.device())?, 0)?;
        let [y_rw] = Linear::forward_fused(PreNorm::Rms(&self.norm), [&self.head], &x_rd)?;
        y_rw.to_dtype(DType::F32)
    }

    fn rope_tables(&self, positions: &[Position]) -> RopeTables {
        let c = &self.form.config;
        let (half, dim) = (c.head_dim / 2, c.head_dim as f32);
        let (theta, scaling) = (c.rope_theta as f32, c.rope_scaling as f32);
        let factor = |k: usize| c.rope_factors.get(k).copied().unwrap_or(1.0);
        let inverse: Vec<f32> = (0..half).map(|k| 1.0 / (factor(k) * theta.powf((2 * k) as f32 / dim))).collect();
        let angles: Vec<f32> = positions
            .iter()
            .flat_map(|position| inverse.iter().map(move |f| position.id as f32 / scaling * f))
            .collect();
        RopeTables::new(&angles, half)
    }
}

impl LayerForm {
    /// Rows `[T, D]` to the rows `[Q, D]` of `queries`.
    fn layer(
        &self,
        index: usize,
        layer: &Layer,
        x_td: &Tensor,
        tables: &RowTables,
        queries: &QueryRows,
        context: &mut KvContext<'_>,
    ) -> Result<Tensor> {
        let c = &self.config;
        let (t, n) = (x_td.dim(0)?, queries.rows.len());
        let norm = PreNorm::Rms(&layer.input_norm);
        let key_rows = |k: &Tensor| ops::rope(&k.reshape((t, c.kv_heads, c.head_dim))?, &tables.rope);
        let value_rows = |v: &Tensor| v.reshape((t, c.kv_heads, c.head_dim));
        let keys_and_values = |e: &Expert, [x]: [&Tensor; 1]| Linear::forward_fused(norm, [&e.k, &e.v], x);
        if n == 0 {
            // Keys and values are all that later passes need of these rows.
            let [k, v] = tables.experts.forward(&layer.experts, [x_td], keys_and_values)?;
            context.append(index, &key_rows(&k)?, &value_rows(&v)?)?;
            return x_td.narrow(0, 0, 0);
        }
        let (q, k, v, x_qd, q_tables) = if n == t {
            let all = |e: &Expert, [x]: [&Tensor; 1]| Linear::forward_fused(norm, [&e.q, &e.k, &e.v], x);
            let [q, k, v] = tables.experts.forward(&layer.experts, [x_td], all)?;
            (q, k, v, x_td.clone(), tables.clone())
        } else {
            let [k, v] = tables.experts.forward(&layer.experts, [x_td], keys_and_values)?;
            let x_qd = x_td.index_select(&Tensor::from_slice(&queries.rows, n, x_td.device())?, 0)?;
            let q_tables = tables.select(&queries.rows)?;
            let own = |e: &Expert, [x]: [&Tensor; 1]| Linear::forward_fused(norm, [&e.q], x);
            let [q] = q_tables.experts.forward(&layer.experts, [&x_qd], own)?;
            (q, k, v, x_qd, q_tables)
        };
        let q_qhc = ops::rope(&q.reshape((n, c.heads, c.head_dim))?, &q_tables.rope)?;
        let scale = c.rope_amplitude.powi(2) * (c.head_dim as f64).powf(-0.5);
        let options = AttentionOptions { compute: self.compute, causal: true, scale };
        let y_qhc = context.attend(index, &q_qhc, &key_rows(&k)?, &value_rows(&v)?, queries, options)?;
        let y_qd = y_qhc.reshape((n, c.heads * c.head_dim))?;
        let after = |e: &Expert, [y, x]: [&Tensor; 2]| {
            let x = e.o.forward_residual(y, x)?;
            Ok([e.mlp.forward(PreNorm::Rms(&layer.post_norm), &x, Some(&x))?])
        };
        let [x_qd] = q_tables.experts.forward(&layer.experts, [&y_qd, &x_qd], after)?;
        Ok(x_qd)
    }
}
