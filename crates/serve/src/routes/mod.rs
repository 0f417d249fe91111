//! The routes.

pub(crate) mod chat;
mod chat_stream;
pub(crate) mod completions;
pub(crate) mod files;
pub(crate) mod models;
pub(crate) mod openapi;
pub(crate) mod page;
pub(crate) mod plan;
mod response_stream;
pub(crate) mod responses;
mod sse;
pub(crate) mod status;
pub(crate) mod tokenize;
