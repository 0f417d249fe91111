//! Generation of random scenes: a seed, a split and a difficulty to a [`Scene`](super::scene::Scene).

pub(super) mod difficulty;
mod generator;
mod layout;
mod motions;
pub(super) mod split;
