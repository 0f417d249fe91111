//! Decoding of a video track: from requested frames to RGB, through the keyframe before each of them.
//!
//! `seek.rs` groups the requested frames by keyframe, `track_frames.rs` hands the groups to worker threads, `codec/`
//! decodes them, `reorder.rs` brings them into presentation order.

pub mod decoder_process;

pub(crate) mod codec;
pub(crate) mod decodable_track;
pub(crate) mod decoder_panic;
pub(crate) mod geometry;
pub(crate) mod keyframe_probe;
pub(crate) mod largest_size;
pub(crate) mod seek;
pub(crate) mod stretch;
pub(crate) mod track_frames;

mod frame_queue;
mod reorder;
mod worker;
