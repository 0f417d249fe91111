//! Decode attention: few queries over many keys, as when an answer is generated (flash-decoding, split-KV). Keys and
//! values are read once, in place; jobs take spans of keys, and their partial softmaxes are merged.

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16;
#[cfg(target_arch = "x86_64")]
mod avx512_wide;
mod dispatch;
mod flash_decoding;
#[cfg(target_arch = "x86_64")]
mod horizontal_sums;
mod plain;
mod span;

pub(super) use flash_decoding::decode;
