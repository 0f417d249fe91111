//! What the bridge between encoder and decoder learns from captions before there is a decoder: contrast, matching and
//! captioning (BLIP-2, arXiv 2301.12597, section 3.2). The losses themselves are the trainer's.
//!
//! Legend: R feature rows of the encoder, N features, E their width, P width in which media and captions are compared,
//! L words of a caption, W vocabulary of the captions.

use candle_core::Tensor;

use crate::contract::features::{Patches, Unit};
use crate::error::ModelResult;

/// What queries have found in a picture or clip.
pub struct QueryFindings {
    /// The mean of the projected queries, each of length 1: `[P]`.
    pub mean_p: Tensor,
    /// Keys and values of the queries in every layer, for [`Aligner::next_words`].
    pub keys_values: Vec<(Tensor, Tensor)>,
}

/// The bridge of a model with the heads of its first stage. One picture or clip and one caption at a time; everything
/// is differentiable.
pub trait Aligner: Send + Sync {
    /// What the names of the encoder's tensors begin with.
    fn encoder(&self) -> &str;
    /// Ids of a caption, from the token that begins a text to the one that ends it; a long one is cut.
    ///
    /// # Errors
    /// [`ModelError::Limit`](crate::error::ModelError::Limit) when the text is too long to be looked at.
    fn words(&self, caption: &str) -> ModelResult<Vec<u32>>;
    /// The encoder's rows `[R, E]` of all units, before anything that the bridge learns.
    ///
    /// # Errors
    /// When the sizes do not fit.
    fn encode(&self, patches: &Patches) -> ModelResult<Tensor>;
    /// Features `[N, E]` that queries look at, from the encoder's rows of `units`.
    ///
    /// # Errors
    /// [`ModelError::Caller`](crate::error::ModelError::Caller) for a clip with more frames than there are embeddings
    /// of frames.
    fn features(&self, encoded: &Tensor, units: &[Unit]) -> ModelResult<Tensor>;
    /// What queries find in features without any words.
    ///
    /// # Errors
    /// When the sizes do not fit.
    fn look(&self, features: &Tensor) -> ModelResult<QueryFindings>;
    /// A caption as `[P]` of length 1.
    ///
    /// # Errors
    /// When there are more words than positions.
    fn read(&self, words: &[u32]) -> ModelResult<Tensor>;
    /// Logits `[1, 2]`: that the caption is another's, and that it is that of these features.
    ///
    /// # Errors
    /// When the sizes do not fit.
    fn match_logits(&self, features: &Tensor, words: &[u32]) -> ModelResult<Tensor>;
    /// Logits `[L - 1, W]` of the words after the first one, each after what was found and the words before it.
    ///
    /// # Errors
    /// When there are more words than positions.
    fn next_words(&self, found: &QueryFindings, words: &[u32]) -> ModelResult<Tensor>;
    /// The temperature, a scalar that similarities are divided by.
    fn temperature(&self) -> &Tensor;
    /// Puts a temperature that has left its range back to the nearest value of it.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn clamp_temperature(&self) -> ModelResult<()>;
}
