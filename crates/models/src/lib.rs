//! What a video-language model is ([`contract`]), the parts models share ([`parts`]) and the families.
//!
//! Imports: kernels (arithmetic), media (`Frame`), text (tokenizer, template). Tensors and gradients are candle's.
//! Deliberately absent: a batch axis, a second forward for training, sampling, any file of media.
#![forbid(unsafe_code)]

pub mod contract;
pub mod error;
pub mod families;
pub mod hub;
pub mod parts;
