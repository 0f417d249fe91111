//! Decoder of the Llama form (Vicuna v1.5); that for films was trained with positions divided by 16.

use crate::error::ModelResult;
use crate::layers::{Decoder, DecoderConfig};
use crate::weights::Weights;

/// Reads the tensors below `model`, and `lm_head`.
pub(super) fn load(w: &Weights, config: &DecoderConfig) -> ModelResult<Decoder> {
    Decoder::load(&w.sub("model"), &w.sub("lm_head"), config)
}
