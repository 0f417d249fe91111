//! One file a subcommand; `media_args` and `request` are what several of them share.

pub(crate) mod ask;
pub(crate) mod bench;
pub(crate) mod cache;
pub(crate) mod chat;
pub(crate) mod convert;
pub(crate) mod data;
pub(crate) mod decode_child;
pub(crate) mod dump;
pub(crate) mod eval;
pub(crate) mod families;
pub(crate) mod frames;
pub(crate) mod index;
pub(crate) mod info;
pub(crate) mod manual;
mod media_args;
#[cfg(unix)]
pub(crate) mod media_child;
pub(crate) mod plan;
pub(crate) mod probe;
mod published_features;
pub(crate) mod pull;
pub(crate) mod report;
mod request;
pub(crate) mod serve;
mod stored;
pub(crate) mod synth;
pub(crate) mod train;
