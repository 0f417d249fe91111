//! The laboratory: what is learnt from ([`draw`], [`sample`]), training, and measuring.
//!
//! Imports: engine, models, media, text, kernels. Deliberately absent: a second definition of any model, wire
//! formats, the command line.
#![forbid(unsafe_code)]

pub mod draw;
pub mod eval;
pub mod sample;
pub mod speed;
pub mod tokenizer;
pub mod train;
