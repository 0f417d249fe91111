//! Bytes to frames with exact times: containers, codecs, pictures.
//!
//! One front door: [`open`] a file, ask [`Clip::info`] and [`Clip::times`], take frames with [`Clip::at`]. Underneath,
//! [`container`] readers list coded frames, plan.rs groups the wanted ones by key frame, codec/ decodes groups side by
//! side, colour.rs and rotate.rs make RGB of them. Every header is checked against [`Limits`] before anything of its
//! size is allocated; malformed, unsupported and over-limit are three different errors.
//!
//! May import `kernels`. Deliberately absent: resizing and normalising for a model (kernels and models do that), sound,
//! network access, encoders, and any decoder in C.
#![forbid(unsafe_code)]

pub mod child;
mod clip;
mod codec;
mod colour;
pub mod container;
mod error;
mod ffmpeg;
mod frame;
mod limits;
mod picture;
pub mod plan;
mod process;
mod quiet;
mod rotate;
mod stream;
pub mod track;
mod yuv;

pub use clip::{Clip, Decoder, Frames, MediaInfo, OpenOptions, open, open_bytes};
pub use error::MediaError;
pub use frame::{Frame, Rgb, Time};
pub use limits::Limits;
