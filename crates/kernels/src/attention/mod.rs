//! Variable-length attention: independent sequences one after the other, grouped heads, causal or not.
//!
//! Shapes: `q` and the result are `[tq, heads, dim]` f32, where `tq` is the sum of the queries of all sequences. `k`
//! and `v` are f32, bf16 or int8 ([`KvSlice`]), `[positions, kv_heads, dim]` or, in blocks, `[blocks, kv_heads, BLOCK,
//! dim]`; each [`Sequence`] says where its keys and values lie ([`KeyRows`]). Query head `h` reads key head `h / (heads
//! / kv_heads)`. In a causal sequence query `i` sees keys `0 ..= keys - queries + i`.
//!
//! - **Prefill** (8 queries of a sequence or more, `prefill.rs`): tiled FlashAttention (arXiv 2205.14135). 32 queries
//!   of a head form one GEMM panel; K and V are packed in chunks of 192 keys.
//! - **Decode** (fewer queries, `decode/`): flash-decoding. K and V are read in place, split into spans of 256 keys,
//!   each once for all queries that see it; the partial softmaxes are merged.
//!
//! Scores of all queries never lie in memory together. The result of a query has the same bits whatever other sequences
//! are in the call, wherever its keys and values lie, and whatever other queries of its sequence are in the call, as
//! long as these are enough for prefill or few enough for decode.

mod backward;
mod decode;
mod forward;
mod inputs;
mod kv;
mod params;
mod prefill;
mod sequence;
mod softmax;
#[cfg(test)]
mod tests;

pub use backward::{AttentionGradients, attention_backward};
pub use forward::attention;
pub use kv::{Int8Kv, KvSlice, quantize_kv};
pub use params::AttentionParams;
pub use sequence::{BLOCK, KeyRows, Sequence};
