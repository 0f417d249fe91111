//! What a family is to the rest of the program: one constant in its folder.

use std::sync::Arc;

use serde::Serialize;
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

/// What a family can be given, for people: `zoetrope families`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Abilities {
    /// Whether it takes pictures.
    pub images: bool,
    /// Whether a conversation may show several pictures or videos.
    pub several: bool,
    /// Whether it takes videos.
    pub video: bool,
    /// How many frames of a video it sees by default.
    pub frames: &'static str,
    /// How these are chosen.
    pub sampling: &'static str,
    /// Visual tokens of a picture and of a frame.
    pub tokens: &'static str,
    /// Positions that its checkpoints were made for.
    pub context: &'static str,
    /// Whether and how the model is told times.
    pub times: &'static str,
}

/// A published checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Its name on the hub.
    pub name: &'static str,
    /// What it lacks and where that comes from; empty when the folder is whole.
    pub needs: &'static str,
}

/// A family of models.
#[derive(Clone, Copy)]
pub struct Family {
    /// Its name, that of its folder.
    pub name: &'static str,
    /// What it can be given.
    pub abilities: Abilities,
    /// Its checkpoints.
    pub published: &'static [Published],
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
