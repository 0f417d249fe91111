//! What a video-language model is ([`contract`]), what models are made of ([`layers`], [`ops`], [`weights`], [`kv`])
//! and the [`families`].
//!
//! Imports: kernels (arithmetic), media (`Frame`), system (mapped files), text (tokenizer, template). Tensors and
//! gradients are candle's.
//! Deliberately absent: a batch axis, a second forward for training, sampling, media files, the network.
#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod contract;
pub mod error;
pub mod families;
pub mod family;
pub mod folder;
pub mod kv;
pub mod layers;
mod lfs_pointer;
pub mod loading;
pub mod ops;
pub mod processing;
pub mod weights;
