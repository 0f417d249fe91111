//! The server as its clients see it, with the model of the repository.

mod api;
mod peer_holes;
mod server;
