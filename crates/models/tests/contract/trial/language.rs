//! Decoder of the Llama form with a second set of weights for visual tokens.

use zoetrope_models::error::ModelResult;
use zoetrope_models::layers::{Decoder, DecoderConfig};
use zoetrope_models::weights::Weights;

/// Reads the tensors below `language`; the output head is the embedding.
pub(super) fn load(w: &Weights, config: &DecoderConfig) -> ModelResult<Decoder> {
    Decoder::load(w, &w.sub("lm_head"), config)
}
