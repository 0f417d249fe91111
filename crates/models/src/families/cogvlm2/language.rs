//! Llama-3 decoder; in picture models with a second set of matrices for visual tokens (arXiv 2311.03079).

use crate::error::ModelResult;
use crate::layers::{Decoder, DecoderConfig};
use crate::weights::Weights;

/// Reads the decoder below `model`, and `lm_head`.
pub(super) fn load(root: &Weights, config: &DecoderConfig) -> ModelResult<Decoder> {
    Decoder::load(&root.sub("model"), &root.sub("lm_head"), config)
}
