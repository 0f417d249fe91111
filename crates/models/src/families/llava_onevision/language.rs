//! Qwen2 decoder: the Llama form with biases on query, key and value.

use crate::error::ModelResult;
use crate::layers::{Decoder, DecoderConfig};
use crate::weights::Weights;

/// Reads the tensors below `model.language_model`, and `lm_head` (absent when tied).
pub(super) fn load(root: &Weights, config: &DecoderConfig) -> ModelResult<Decoder> {
    Decoder::load(&root.sub("model.language_model"), &root.sub("lm_head"), config)
}
