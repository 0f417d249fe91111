//! Layers that families share. A layer asks [`Weights`](crate::weights::Weights) for its tensors, says what each is,
//! and computes with [`ops`](crate::ops): new, load, forward, in that order.

mod decoder;
mod embedding;
mod experts;
mod linear;
mod lora;
mod mlp;
mod norm;
mod qformer;
#[cfg(test)]
mod tests;
mod vit;

pub use decoder::{Decoder, DecoderConfig};
pub use embedding::Embedding;
pub use linear::{Bias, Linear};
pub use lora::Lora;
pub use mlp::Mlp;
pub use norm::{LayerNorm, PreNorm, RmsNorm};
pub use qformer::{QFormer, QFormerConfig, QFormerLanguage};
pub use vit::{Gelu, NormPlacement, VitBlock, VitConfig};
