//! Media of requests: from what a client sent to frames that can be planned.

mod address;
mod cage;
mod prepare;
mod spool;
mod uploads;

pub(crate) use address::MediaRoot;
pub(crate) use cage::Cage;
pub use cage::SandboxOptions;
pub(crate) use prepare::{Gathered, WebFiles, media_count, prepare, web_addresses};
pub(crate) use spool::{Spool, Spooled};
pub(crate) use uploads::{Upload, Uploads};
