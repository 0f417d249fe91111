//! The container readers against files built here byte by byte, and against what FFmpeg says about small real ones.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod avi;
mod byte_source;
mod bytes;
mod goldens;
mod hostile;
mod joined;
mod mkv;
mod mkv_layout;
mod mp4;
mod statements;
mod streams;
mod tracks;
mod ts;
