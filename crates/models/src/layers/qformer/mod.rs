//! The Q-Former: queries that look at features and hear words, and words that are read or said on their own.

mod encoder;
mod language;
#[cfg(test)]
mod tests;

pub use encoder::{QFormer, QFormerConfig};
pub use language::QFormerLanguage;
