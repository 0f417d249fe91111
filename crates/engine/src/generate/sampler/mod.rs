//! Logits to one token id.
//!
//! In this order: the bias of the request, repetition penalty, frequency and presence penalty; the mask of a grammar,
//! and of stop ids before the fewest tokens; then the largest score, or temperature, top-k, top-p, min-p (the order of
//! transformers' logits processors) and a seeded draw. Log-probabilities are of the logits before all of this.

mod candidates;
mod logprobs;
mod pick;
mod sampling;

pub use logprobs::{TokenLogprob, TokenLogprobs, token_logprobs};
pub use pick::Sampler;
pub use sampling::{MAX_TOP_LOGPROBS, Sampling};

#[cfg(test)]
mod tests;
