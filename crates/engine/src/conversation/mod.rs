//! A conversation without a model: messages, and media that are opened, planned and encoded once.

mod planning;
mod projections;
mod state;

pub(crate) use projections::Projections;
pub use state::ContentPart;
pub(crate) use state::{Conversation, NewMedia};
