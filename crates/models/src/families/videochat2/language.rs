//! The decoder: Vicuna, Mistral and Phi-3 are of the Llama form. Phi-3 stores q, k, v and gate, up fused, which the
//! name table tells.

use crate::error::ModelResult;
use crate::layers::{Decoder, DecoderConfig};
use crate::weights::Weights;

/// Reads the tensors below `language_model`.
pub(super) fn load(w: &Weights, config: &DecoderConfig) -> ModelResult<Decoder> {
    let own = w.sub("language_model");
    Decoder::load(&own.sub("model"), &own.sub("lm_head"), config)
}
