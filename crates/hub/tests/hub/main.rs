//! The hub client against a stand-in for the hub on this machine. No test uses the network.
#![cfg(feature = "download")]

mod authorities;
mod extents;
mod fetching;
mod mirrors;
mod stand_in;
mod trouble;
