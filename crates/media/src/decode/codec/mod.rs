//! Bitstream decoders behind one trait, one file per decoder crate.
//!
//! H.264 and HEVC have two decoders each: a fast one, and one that reads more and goes on after damage.

pub(crate) mod decoder;
pub(crate) mod factory;

#[cfg(feature = "av1")]
mod av1;
mod h264;
mod hevc;
mod non_reference;
mod raw;
mod sei;
#[cfg(test)]
mod tests;
mod vp9;
