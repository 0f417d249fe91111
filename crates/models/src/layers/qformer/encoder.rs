//! The text-conditioned Q-Former of InstructBLIP (arXiv 2305.06500): a BERT encoder over learned queries and the words
//! of an instruction, whose queries look at features in some layers.
//!
//! There is no batch axis: one instruction meets the features of several units (frames, say), and every unit has its
//! own queries and its own copy of the words, which never see those of another unit.
//!
//! Legend: U units, Q queries, L words, S = Q + L rows of a unit, N features of all units, E their width, D width,
//! H heads, C width of a head.

use candle_core::{Result, Tensor, bail};
use zoetrope_kernels::gemm::WeightType;

use crate::error::ModelResult;
use crate::layers::embedding::Embedding;
use crate::layers::linear::{Bias, Linear};
use crate::layers::mlp::Mlp;
use crate::layers::norm::{LayerNorm, PreNorm};
use crate::ops::{self, AttentionOptions};
use crate::weights::{ParameterRole, Weights};

/// Sizes of a Q-Former.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QFormerConfig {
    /// Width D.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Heads H; divides D.
    pub heads: usize,
    /// Width inside both feed-forward networks.
    pub intermediate: usize,
    /// Rows of the word embedding.
    pub vocabulary: usize,
    /// Rows of the position embedding: the longest instruction.
    pub positions: usize,
    /// Layers 0, this, twice this, ... look at features.
    pub cross_attention_freq: usize,
    /// Width E of the features.
    pub encoder_width: usize,
    /// LayerNorm epsilon.
    pub eps: f64,
}

impl QFormerConfig {
    /// `bert-base-uncased` with `[DEC]`, looking at features of width `encoder_width` in every second layer.
    pub fn bert_base(encoder_width: usize) -> Self {
        QFormerConfig {
            hidden: 768,
            layers: 12,
            heads: 12,
            intermediate: 3072,
            vocabulary: 30_523,
            positions: 512,
            cross_attention_freq: 2,
            encoder_width,
            eps: 1e-12,
        }
    }

    /// Fails with the numbers that the forward pass could not divide by.
    pub fn check(&self) -> std::result::Result<(), String> {
        let (d, h) = (self.hidden, self.heads);
        if h == 0 || d == 0 || !d.is_multiple_of(h) || self.cross_attention_freq == 0 {
            let every = self.cross_attention_freq;
            return Err(format!("Q-Former of width {d} with {h} heads, features in every {every} layers"));
        }
        Ok(())
    }
}

/// Keys and values `[N, H, C]` of rows that are looked at.
pub(super) type KeysValues = (Tensor, Tensor);

/// BERT's attention: the sum with its input is normalized.
pub(super) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm: LayerNorm,
    heads: usize,
    compute: WeightType,
}

impl Attention {
    /// Keys and values are made of rows of width `source`.
    fn load(w: &Weights, c: &QFormerConfig, source: usize) -> ModelResult<Self> {
        let (own, out, d) = (w.sub("self"), w.sub("output"), c.hidden);
        Ok(Attention {
            query: Linear::load(&own.sub("query"), d, d, Bias::Zero)?,
            key: Linear::load(&own.sub("key"), source, d, Bias::Zero)?,
            value: Linear::load(&own.sub("value"), source, d, Bias::Zero)?,
            out: Linear::load(&out.sub("dense"), d, d, Bias::Zero)?,
            norm: LayerNorm::load(&out.sub("LayerNorm"), d, c.eps)?,
            heads: c.heads,
            compute: w.attention_compute(),
        })
    }

    /// Rows `x` `[., D]` look at all rows of `source` of their unit; `lens` are the (rows, source rows) of each.
    pub(super) fn forward(&self, x_td: &Tensor, source: &Tensor, lens: &[(usize, usize)]) -> Result<Tensor> {
        self.attend(x_td, &self.keys_values(source)?, lens, false)
    }

    /// Keys and values of the rows `source`.
    pub(super) fn keys_values(&self, source: &Tensor) -> Result<KeysValues> {
        let [k_nd, v_nd] = Linear::forward_fused(PreNorm::None, [&self.key, &self.value], source)?;
        let (n, d) = k_nd.dims2()?;
        let c = d / self.heads;
        Ok((k_nd.reshape((n, self.heads, c))?, v_nd.reshape((n, self.heads, c))?))
    }

    /// Rows `x` look at keys and values; those of a `causal` pass at the keys up to their own position, of which they
    /// are the last ones.
    pub(super) fn attend(
        &self,
        x_td: &Tensor,
        (k_nhc, v_nhc): &KeysValues,
        lens: &[(usize, usize)],
        causal: bool,
    ) -> Result<Tensor> {
        let (t, d) = x_td.dims2()?;
        let c = d / self.heads;
        let q_thc = self.query.forward(x_td)?.reshape((t, self.heads, c))?;
        let options = AttentionOptions { compute: self.compute, causal, scale: (c as f64).powf(-0.5) };
        let y_td = ops::attention(options, &q_thc, k_nhc, v_nhc, lens)?.reshape((t, d))?;
        self.norm.forward(&self.out.forward_residual(&y_td, x_td)?)
    }
}

/// BERT's feed-forward network: the sum with its input is normalized.
pub(super) struct FeedForward {
    mlp: Mlp,
    norm: LayerNorm,
}

impl FeedForward {
    /// Reads `intermediate{suffix}` and `output{suffix}`.
    pub(super) fn load(w: &Weights, c: &QFormerConfig, suffix: &str) -> ModelResult<Self> {
        let (into, out) = (w.sub(format!("intermediate{suffix}")), w.sub(format!("output{suffix}")));
        let first = Linear::load(&into.sub("dense"), c.hidden, c.intermediate, Bias::Zero)?;
        let second = Linear::load(&out.sub("dense"), c.intermediate, c.hidden, Bias::Zero)?;
        Ok(FeedForward {
            mlp: Mlp::gelu_erf(first, second),
            norm: LayerNorm::load(&out.sub("LayerNorm"), c.hidden, c.eps)?,
        })
    }

    pub(super) fn forward(&self, x_td: &Tensor) -> Result<Tensor> {
        self.norm.forward(&self.mlp.forward(PreNorm::None, x_td, Some(x_td))?)
    }
}

pub(super) struct Layer {
    pub(super) attention: Attention,
    pub(super) cross: Option<Attention>,
    /// Of the words; the last layer, whose words queries do not read, has none.
    pub(super) words: Option<FeedForward>,
    pub(super) queries: FeedForward,
}

/// A Q-Former without its queries, which its owner has.
pub struct QFormer {
    pub(super) words: Embedding,
    positions_pd: Tensor,
    norm: LayerNorm,
    pub(super) layers: Vec<Layer>,
    config: QFormerConfig,
}

impl QFormer {
    /// Reads `embeddings.{word_embeddings,position_embeddings,LayerNorm}` and `encoder.layer.N` below `w`, the `bert`
    /// of checkpoints.
    ///
    /// The feed-forward network of the last layer's words (`intermediate`, `output`), which checkpoints hold, changes
    /// no result and is not read.
    pub fn load(w: &Weights, c: QFormerConfig) -> ModelResult<Self> {
        let tables = w.sub("embeddings");
        let layer = |i: usize| -> ModelResult<Layer> {
            let w = w.sub("encoder.layer").sub(i);
            let sees = i.is_multiple_of(c.cross_attention_freq);
            let last = i + 1 == c.layers;
            Ok(Layer {
                attention: Attention::load(&w.sub("attention"), &c, c.hidden)?,
                cross: sees.then(|| Attention::load(&w.sub("crossattention"), &c, c.encoder_width)).transpose()?,
                words: (!last).then(|| FeedForward::load(&w, &c, "")).transpose()?,
                queries: FeedForward::load(&w, &c, "_query")?,
            })
        };
        let positions = tables.sub("position_embeddings");
        Ok(QFormer {
            words: Embedding::load(&tables.sub("word_embeddings"), c.vocabulary, c.hidden)?,
            positions_pd: positions.get(&[c.positions, c.hidden], "weight", ParameterRole::Embedding)?,
            norm: LayerNorm::load(&tables.sub("LayerNorm"), c.hidden, c.eps)?,
            layers: (0..c.layers).map(layer).collect::<ModelResult<_>>()?,
            config: c,
        })
    }

    /// Whether a checkpoint's tensor, named below `bert`, is one that no result depends on: the feed-forward network of
    /// the last of `layers` layers' words, and the list of positions that some versions of transformers store.
    pub fn is_idle(name: &str, layers: usize) -> bool {
        let last = format!("encoder.layer.{}.", layers.saturating_sub(1));
        let of_words = |rest: &str| rest.starts_with("intermediate.") || rest.starts_with("output.");
        name == "embeddings.position_ids" || name.strip_prefix(&last).is_some_and(of_words)
    }

    /// The queries `[Q, D]` after looking at `features` `[N, E]`, whose units are runs of `units` rows, as rows
    /// `[U * Q, D]`, unit by unit. `words` are the ids of the instruction, `[CLS]` and `[SEP]` included; there may be
    /// none.
    ///
    /// # Errors
    /// When the sizes do not fit, or there are more words than positions.
    pub fn forward(&self, queries_qd: &Tensor, words: &[u32], features_ne: &Tensor, units: &[usize]) -> Result<Tensor> {
        let (q, d) = queries_qd.dims2()?;
        let (u, s) = (units.len(), q + words.len());
        let own = self.embed(Some(queries_qd), words)?;
        let mut x_usd = own.unsqueeze(0)?.broadcast_as((u, s, d))?.contiguous()?;
        let looks: Vec<(usize, usize)> = units.iter().map(|&n| (q, n)).collect();
        for layer in &self.layers {
            let x_td = x_usd.reshape((u * s, d))?;
            // Without a network for words nobody reads this layer's words.
            let left = if layer.words.is_some() { s } else { q };
            let asking = if left == s { x_td.clone() } else { rows(&x_usd, 0, left)? };
            let y_usd = layer.attention.forward(&asking, &x_td, &vec![(left, s); u])?.reshape((u, left, d))?;
            let mut queries = rows(&y_usd, 0, q)?;
            if let Some(cross) = &layer.cross {
                queries = cross.forward(&queries, features_ne, &looks)?;
            }
            let queries = layer.queries.forward(&queries)?.reshape((u, q, d))?;
            x_usd = match &layer.words {
                Some(network) if s > q => {
                    let words = network.forward(&rows(&y_usd, q, s - q)?)?.reshape((u, s - q, d))?;
                    Tensor::cat(&[queries, words], 1)?
                }
                _ => queries,
            };
        }
        rows(&x_usd, 0, q)
    }

    /// Queries, where there are any, and words as rows `[S, D]`. Positions count the words alone.
    ///
    /// # Errors
    /// When there are more words than positions, or neither words nor queries.
    pub(super) fn embed(&self, queries_qd: Option<&Tensor>, words: &[u32]) -> Result<Tensor> {
        let limit = self.config.positions;
        if words.len() > limit {
            bail!("an instruction of {} tokens; the Q-Former has {limit} positions", words.len())
        }
        let words_ld = match words.is_empty() {
            true => None,
            false => Some(ops::add(&self.words.forward(words)?, &self.positions_pd.narrow(0, 0, words.len())?)?),
        };
        match (queries_qd, words_ld) {
            (Some(queries_qd), Some(words_ld)) => {
                self.norm.forward(&Tensor::cat(&[queries_qd, &words_ld.to_dtype(queries_qd.dtype())?], 0)?)
            }
            (Some(rows), None) => self.norm.forward(rows),
            (None, Some(rows)) => self.norm.forward(&rows),
            (None, None) => bail!("a Q-Former pass without queries and words"),
        }
    }
}

/// Rows `first..first + n` of each unit, `[U * n, D]`.
fn rows(x_usd: &Tensor, first: usize, n: usize) -> Result<Tensor> {
    let (u, _, d) = x_usd.dims3()?;
    x_usd.narrow(1, first, n)?.contiguous()?.reshape((u * n, d))
}
