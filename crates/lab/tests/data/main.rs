//! People's data as samples: every form, everything that makes a row bad, shards, frames and parts of videos.

mod bad;
mod desk;
mod forms;
mod media;
#[cfg(feature = "parquet")]
mod parquet;
mod planned;
mod preferences;
mod shards;
