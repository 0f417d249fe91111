//! What a family is to the rest of the program: one constant in its folder.

use std::sync::Arc;

use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::contract::{Processor, VideoLanguageModel};
use crate::error::ModelResult;
use crate::weights::{NameTable, Weights};

/// What a folder is that has no configuration of its own, told by the names of its files.
#[derive(Clone, Debug, PartialEq)]
pub struct Implied {
    /// The `config.json` that it would have.
    pub config: Value,
    /// Its PyTorch files, the first to be looked up first: each holds newer values of what the later ones hold, too.
    pub files: Vec<String>,
}

/// A family of models.
#[derive(Clone, Copy)]
pub struct Family {
    /// Its name, that of its folder.
    pub name: &'static str,
    /// `model_type`s of `config.json` that it reads, for the list of what is supported.
    pub model_types: &'static [&'static str],
    /// Whether a `config.json` is of this family.
    pub matches: fn(&Value) -> bool,
    /// What the files of a folder imply whose `config.json` is missing, or is that of a language model alone; `None`
    /// when they are not of this family. Asked after `matches`.
    pub implied: fn(&Checkpoint) -> ModelResult<Option<Implied>>,
    /// The layouts in which checkpoints of these sizes are published; the first that matches counts.
    pub tables: fn(&Checkpoint) -> ModelResult<Vec<NameTable>>,
    /// The processor of a checkpoint.
    pub processor: fn(&Checkpoint) -> ModelResult<Arc<dyn Processor>>,
    /// The model of a checkpoint over some weights.
    pub model: fn(&Checkpoint, Weights) -> ModelResult<Arc<dyn VideoLanguageModel>>,
}
