//! People's data as samples: every form, everything that makes a row bad, shards, frames and parts of videos.

mod bad;
mod desk;
mod forms;
mod media;
mod shards;
