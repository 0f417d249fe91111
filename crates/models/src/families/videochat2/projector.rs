//! From the features of a clip to its visual tokens: the queries of a Q-Former that hears the instruction, then one
//! linear layer.
//!
//! Legend: U units, R feature rows, E encoder width, Q queries, W width of the Q-Former, V visual tokens, D language
//! width.

use candle_core::{Result, Tensor};

use super::config::Config;
use crate::contract::features::Features;
use crate::error::ModelResult;
use crate::layers::{Bias, Linear, QFormer};
use crate::weights::{ParameterRole, Weights};

/// From features to visual tokens.
pub(super) struct Projector {
    /// `[1, Q1, W]`.
    pub(super) queries: Tensor,
    /// `[1, Q2, W]`, which later stages have learned; there may be none.
    extra: Option<Tensor>,
    pub(super) qformer: QFormer,
    out: Linear,
}

impl Projector {
    /// Reads `query_tokens`, `extra_query_tokens`, `qformer.bert` and `projector`.
    pub(super) fn load(w: &Weights, c: &Config) -> ModelResult<Self> {
        let width = c.qformer.hidden;
        let queries = |name: &str, n: usize| w.get(&[1, n, width], name, ParameterRole::Embedding);
        let extra = (c.extra_queries > 0).then(|| queries("extra_query_tokens", c.extra_queries));
        Ok(Projector {
            queries: queries("query_tokens", c.queries)?,
            extra: extra.transpose()?,
            qformer: QFormer::load(&w.sub("qformer.bert"), c.qformer)?,
            out: Linear::load(&w.sub("projector"), width, c.language.hidden, Bias::Zero)?,
        })
    }

    /// Visual tokens `[V, D]` of some units; `words` are the ids of the instruction.
    pub(super) fn forward(&self, features: &Features, words: &[u32]) -> Result<Tensor> {
        let queries = match &self.extra {
            Some(extra) => Tensor::cat(&[&self.queries, extra], 1)?,
            None => self.queries.clone(),
        };
        let found = self.qformer.forward(&queries.squeeze(0)?, words, &features.rows, &features.per_unit)?;
        self.out.forward(&found)
    }
}
