//! What goes over the wire: the fields of OpenAI's API that are honored, and those of other servers that clients send.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod content;
pub(crate) mod json;
pub(crate) mod media_options;
pub(crate) mod responses;
pub(crate) mod sampling;
pub(crate) mod structured;
pub(crate) mod usage;
