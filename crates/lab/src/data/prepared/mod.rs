//! Samples decoded and prepared for the encoder: by workers ahead of the training step, once for media that are kept.
//!
//! A [`SampleLoader`] makes a [`LoadedSample`] of a sample: plans, and the patches of each picture and video. Where the
//! encoder is frozen its features take the place of patches ([`FrozenFeatures`]). [`KeptMedia`] remembers both within a
//! number of bytes. A [`Feed`] does all of it ahead on threads of its own.

mod feed;
mod frozen;
mod kept;
mod loader;
mod options;

pub(crate) use feed::Feed;
pub(crate) use frozen::FrozenFeatures;
pub(crate) use kept::KeptMedia;
pub(crate) use loader::{LoadedMedia, LoadedSample, SampleLoader};
pub use options::LoaderOptions;

#[cfg(test)]
mod tests;
