//! The laboratory: people's own data ([`data`]), synthetic data ([`synth`], [`sample`]), training ([`train`]),
//! evaluation ([`eval`]) and speed ([`mod@bench`]).
//!
//! Imports: engine, models, media, kernels, system (the environment). Deliberately absent: a second definition of any
//! model, wire formats, the command line.
#![forbid(unsafe_code)]

pub mod bench;
pub mod data;
mod error;
pub mod eval;
pub mod sample;
pub mod synth;
pub mod train;

pub use error::LabError;
