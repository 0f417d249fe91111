//! Many requests at once over one engine: what a server needs.
//!
//! A [`PreparedTurn`] is a conversation whose media are open and planned; that needs no engine. A [`Service`] encodes
//! media once for all requests that show it alike, keeps what was encoded, and lets prompts that begin alike share keys
//! and values.

mod client;
mod media_cache;
mod prepared;
mod requests;
mod serving;
mod turn;

pub use client::{Stage, TurnClient, TurnEvent, TurnReport, TurnRequest};
pub use prepared::{MediaClock, PreparedTurn};
pub use serving::{Service, ServiceOptions, ServiceState};
