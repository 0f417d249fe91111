//! Media of requests: from what a client sent to frames that can be planned.

mod address;
mod prepare;
mod spool;
mod uploads;

pub(crate) use address::MediaRoot;
pub(crate) use prepare::{Gathered, prepare};
pub(crate) use spool::{Spool, Spooled};
pub(crate) use uploads::{Upload, Uploads};
