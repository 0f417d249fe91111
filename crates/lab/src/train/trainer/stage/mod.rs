//! The stage that a run is in: its model ([`StageModel`]), and how it begins.

mod begin;
mod model;

pub(in crate::train) use self::model::{Origin, StageModel};
