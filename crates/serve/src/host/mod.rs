//! Models and the threads that run them.

mod models;
mod rates;
mod worker;

pub(crate) use models::{HostOptions, ModelFacts, Models, ServedModel};
pub use models::{LoadedModel, Loader, ModelName};
pub(crate) use worker::{Events, Slot};
