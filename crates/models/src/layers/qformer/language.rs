//! Words of a Q-Former beyond what queries hear: read without media, read beside queries, and said one by one after
//! what queries have found (BLIP-2, arXiv 2301.12597, section 3.2). One picture or clip and one text at a time.
//!
//! Legend: Q queries, L words, S = Q + L, N features, E their width, D width, W vocabulary.

use std::sync::OnceLock;

use candle_core::{Result, Tensor};

use super::encoder::{FeedForward, KeysValues, QFormer, QFormerConfig};
use crate::error::ModelResult;
use crate::layers::embedding::Embedding;
use crate::layers::linear::{Bias, Linear};
use crate::layers::norm::LayerNorm;
use crate::ops;
use crate::weights::{ParameterRole, Weights};

/// What only these passes need: the last layer's network for words, and the head that says the next word (`cls` of
/// checkpoints), whose matrix is the word embedding.
pub struct QFormerLanguage {
    last: FeedForward,
    transform: Linear,
    norm: LayerNorm,
    bias_w: Tensor,
    /// The word embedding `[W, D]`, where the encoder has it in a file: read when it is first wanted.
    words_wd: OnceLock<Tensor>,
}

impl QFormerLanguage {
    /// Reads the network below `bert`, the weights of [`QFormer::load`], and `predictions` below `cls`.
    pub fn load(bert: &Weights, cls: &Weights, c: &QFormerConfig) -> ModelResult<Self> {
        let head = cls.sub("predictions");
        let last = bert.sub("encoder.layer").sub(c.layers.saturating_sub(1));
        Ok(QFormerLanguage {
            last: FeedForward::load(&last, c, "")?,
            transform: Linear::load(&head.sub("transform.dense"), c.hidden, c.hidden, Bias::Zero)?,
            norm: LayerNorm::load(&head.sub("transform.LayerNorm"), c.hidden, c.eps)?,
            bias_w: head.sub("decoder").get(&[c.vocabulary], "bias", ParameterRole::BIAS)?,
            words_wd: OnceLock::new(),
        })
    }

    /// The word embedding `[W, D]`.
    fn words(&self, embedding: &Embedding) -> Result<Tensor> {
        match (embedding, self.words_wd.get()) {
            (Embedding::Tensor(words_wd), _) => Ok(words_wd.clone()),
            (_, Some(words_wd)) => Ok(words_wd.clone()),
            (Embedding::Mapped(_), None) => {
                let all: Vec<u32> = (0..self.bias_w.dim(0)? as u32).collect();
                let words_wd = embedding.forward(&all)?;
                Ok(self.words_wd.get_or_init(|| words_wd).clone())
            }
        }
    }
}

impl QFormer {
    /// Words `[L, D]` that hear each other and nothing else.
    ///
    /// # Errors
    /// When there are none, or more than positions.
    pub fn read(&self, language: &QFormerLanguage, words: &[u32]) -> Result<Tensor> {
        Ok(self.pass(language, self.embed(None, words)?, Queries::None, &[])?.0)
    }

    /// Queries `[Q, D]` that look at `features` `[N, E]` and hear no words, and their keys and values in every layer.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub fn look(
        &self,
        language: &QFormerLanguage,
        queries_qd: &Tensor,
        features_ne: &Tensor,
    ) -> Result<(Tensor, Vec<KeysValues>)> {
        let queries = Queries::Looking(queries_qd.dim(0)?, features_ne);
        self.pass(language, self.embed(Some(queries_qd), &[])?, queries, &[])
    }

    /// Queries that look at `features` and words, which hear each other: rows `[S, D]`, the queries first.
    ///
    /// # Errors
    /// When the sizes do not fit, or there are more words than positions.
    pub fn look_and_read(
        &self,
        language: &QFormerLanguage,
        queries_qd: &Tensor,
        words: &[u32],
        features_ne: &Tensor,
    ) -> Result<Tensor> {
        let queries = Queries::Looking(queries_qd.dim(0)?, features_ne);
        Ok(self.pass(language, self.embed(Some(queries_qd), words)?, queries, &[])?.0)
    }

    /// Logits `[L, W]` of the word after each of `words`, which know what queries have `found` ([`QFormer::look`]) and
    /// the words before.
    ///
    /// # Errors
    /// When there are no words, or more than positions.
    pub fn say(&self, language: &QFormerLanguage, found: &[KeysValues], words: &[u32]) -> Result<Tensor> {
        let (x_ld, _) = self.pass(language, self.embed(None, words)?, Queries::None, found)?;
        let h_ld = language.norm.forward(&ops::gelu_erf(&language.transform.forward(&x_ld)?)?)?;
        ops::linear(&h_ld, &language.words(&self.words)?, Some(&language.bias_w))
    }

    /// All layers over rows `x`, and the rows' own keys and values in each. With keys and values `found` before, the
    /// pass is causal.
    fn pass(
        &self,
        language: &QFormerLanguage,
        x_sd: Tensor,
        queries: Queries<'_>,
        found: &[KeysValues],
    ) -> Result<(Tensor, Vec<KeysValues>)> {
        let (s, q) = (x_sd.dim(0)?, queries.number());
        let (mut x_sd, mut kept) = (x_sd, Vec::with_capacity(self.layers.len()));
        for (number, layer) in self.layers.iter().enumerate() {
            let own = layer.attention.keys_values(&x_sd)?;
            let seen = match found.get(number) {
                Some((k, v)) => (Tensor::cat(&[k, &own.0], 0)?, Tensor::cat(&[v, &own.1], 0)?),
                None => own.clone(),
            };
            kept.push(own);
            let lens = [(s, seen.0.dim(0)?)];
            let y_sd = layer.attention.attend(&x_sd, &seen, &lens, !found.is_empty())?;
            let mut parts = Vec::with_capacity(2);
            if let Queries::Looking(_, features_ne) = queries {
                let mut y_qd = y_sd.narrow(0, 0, q)?.contiguous()?;
                if let Some(cross) = &layer.cross {
                    y_qd = cross.forward(&y_qd, features_ne, &[(q, features_ne.dim(0)?)])?;
                }
                parts.push(layer.queries.forward(&y_qd)?);
            }
            if s > q {
                let network = layer.words.as_ref().unwrap_or(&language.last);
                parts.push(network.forward(&y_sd.narrow(0, q, s - q)?.contiguous()?)?);
            }
            x_sd = if let [one] = &parts[..] { one.clone() } else { Tensor::cat(&parts, 0)? };
        }
        Ok((x_sd, kept))
    }
}

/// What the first rows of a pass are.
#[derive(Clone, Copy)]
enum Queries<'a> {
    /// Words, as all others.
    None,
    /// So many queries, which look at features `[N, E]`.
    Looking(usize, &'a Tensor),
}

impl Queries<'_> {
    fn number(self) -> usize {
        match self {
            Queries::None => 0,
            Queries::Looking(number, _) => number,
        }
    }
}
