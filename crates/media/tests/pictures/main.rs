//! Pictures of every format through the public door. The files are made here; nothing of them is recorded.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what it did not expect")]

mod gif;
mod heif;
mod maker;
mod png;
mod still;
mod webp;
