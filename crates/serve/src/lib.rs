//! The HTTP server: OpenAI's API for questions about pictures and videos, and a page that shows what the model saw.
//!
//! Nouns: a [`ServeOptions`] says what is served to whom; `host` runs models on threads of their own; `media` turns
//! what clients send into frames; `wire` has the types of requests; `routes` has a file a route. [`run`] is the front
//! door.
//!
//! Every number that a client sends is checked before memory is taken for it; docs/security.md has the limits. An
//! answer of the server names no path and no address of this machine.
//!
//! May import: engine, hub (which fetches), media, models (the contract). Deliberately absent: families by name,
//! arithmetic, decoding, the command line.
#![forbid(unsafe_code)]

mod body;
mod error;
mod guard;
mod host;
mod ids;
mod log;
mod media;
mod metrics;
mod routes;
mod server;
mod state;
mod turn;
mod wire;

pub use host::{LoadedModel, Loader, ModelName};
pub use media::SandboxOptions;
pub use server::{ServeError, ServeOptions, run};
