//! Features of a film on disk: encoded once, read for every further question.
//!
//! The file is a safetensors file: `rows` `[R, E]`, unit after unit; `per_unit` (u32), the rows of each unit; `lost`
//! (u32), the numbers of planned frames that could not be decoded; and metadata that says which film, model and plan
//! the features are of ([`FeatureKey`]). It is written run by run ([`FeatureWriter`]) and read by mapping
//! ([`StoredFeatures`]): neither holds the features of a film in memory.

mod fingerprint;
mod header;
mod identity;
mod journal;
mod reader;
mod whole;
mod writer;

pub use header::{FORMAT, FeatureKey, StoredFaults};
pub use identity::{FilmIdentity, ModelIdentity};
pub use journal::FeatureRun;
pub use reader::StoredFeatures;
pub use whole::{FeatureSize, write_whole};
pub use writer::FeatureWriter;

#[cfg(test)]
mod tests;
