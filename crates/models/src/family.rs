//! What a family is to the rest of the program: one constant in its folder.

use std::sync::Arc;

use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::contract::{Processor, VideoLanguageModel};
use crate::error::ModelResult;
use crate::weights::{NameTable, Weights};

/// A family of models.
#[derive(Clone, Copy)]
pub struct Family {
    /// Its name, that of its folder.
    pub name: &'static str,
    /// `model_type`s of `config.json` that it reads, for the list of what is supported.
    pub model_types: &'static [&'static str],
    /// Whether a `config.json` is of this family.
    pub matches: fn(&Value) -> bool,
    /// The layouts in which checkpoints of these sizes are published; the first that matches counts.
    pub tables: fn(&Checkpoint) -> ModelResult<Vec<NameTable>>,
    /// The processor of a checkpoint.
    pub processor: fn(&Checkpoint) -> ModelResult<Arc<dyn Processor>>,
    /// The model of a checkpoint over some weights.
    pub model: fn(&Checkpoint, Weights) -> ModelResult<Arc<dyn VideoLanguageModel>>,
}
