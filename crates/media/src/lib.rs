//! Bytes to frames with exact times: containers, codecs, images.
//!
//! One front door: [`open`] a file, ask [`Clip::info`] and [`Clip::times`], take frames with [`Clip::frames`].
//! Underneath:
//!
//! - [`container`] reads the index of a file: coded frames with exact times (edit lists, B-frame reordering).
//! - `decode/` seeks to the keyframe before each requested frame, decodes side by side, restores presentation order and
//!   applies the rotation.
//! - `color/` converts YUV to RGB.
//! - `image/` reads still images and animations.
//! - [`subtitle`] reads subtitle files and the text tracks of films.
//! - [`sandbox`] does all of this in a process that has no rights.
//! - `ffmpeg/` hands everything else to the system's FFmpeg program.
//!
//! Every header is checked against [`Limits`] before anything of its size is allocated. Malformed, unsupported and
//! over-limit are three different errors.
//!
//! Imports `system` (the AV1 decoder) and `kernels` (rows of YUV to RGB). Deliberately absent: resizing and
//! normalization for a model (kernels and models do that), sound, network access, encoders, and any decoder in C.
#![forbid(unsafe_code)]

pub mod container;

mod clip;
mod color;
mod decode;
mod error;
mod ffmpeg;
mod frame;
mod image;
mod info;
mod open;
mod options;
#[cfg(unix)]
pub mod sandbox;
pub mod subtitle;

pub use clip::{Clip, Frames};
pub use color::description::Color;
pub use decode::decoder_process;
pub use error::MediaError;
pub use frame::{Frame, Rgb, Time};
pub use info::MediaInfo;
pub use info::track::{TrackInfo, TrackKind};
pub use open::{open, open_bytes, open_part, tracks};
pub use options::limits::Limits;
pub use options::{Alpha, DecoderChoice, HighDynamicRange, OpenOptions, SampleAspect};
