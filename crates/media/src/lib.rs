//! Bytes to frames with exact times.
#![forbid(unsafe_code)]

mod frame;

pub use frame::{Frame, Rgb, Time};
