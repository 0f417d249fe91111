//! Bytes to frames with exact times.
#![forbid(unsafe_code)]

pub mod container;
mod error;
mod frame;
mod limits;
pub mod track;

pub use error::MediaError;
pub use frame::{Frame, Rgb, Time};
pub use limits::Limits;
