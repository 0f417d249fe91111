//! Media that rows name, opened: files, files inside archives, bytes, frames as clips, parts of videos.

mod clip_part;
mod content;
mod frame_files;
mod opener;
mod place;

pub(super) use opener::Opener;
