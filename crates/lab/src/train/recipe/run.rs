//! A whole recipe.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::stage::Stage;
use crate::data::LoaderOptions;

/// A training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Seed of the initial weights, of adapters and of the order of samples.
    pub seed: u64,
    /// Steps between checkpoints.
    pub save_every: usize,
    /// How many checkpoints are kept, the newest one included.
    pub keep_last: usize,
    /// Whether the model with the lowest held-out loss is kept, too (`best` in the folder of the run).
    pub keep_best: bool,
    /// Share of samples that may be unusable before the run stops.
    pub max_bad: f64,
    /// How samples are loaded while the model computes. Nothing of it changes what is learned, so it is no part of what
    /// a run is.
    #[serde(skip_serializing)]
    pub loader: LoaderOptions,
    /// What every stage has that does not say otherwise. Empty in a recipe that was read.
    #[serde(skip_serializing)]
    pub(super) defaults: Option<Box<Stage>>,
    /// The stages, in order.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
    /// The folder that data files are named from.
    #[serde(skip)]
    pub folder: PathBuf,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            seed: 0,
            save_every: 200,
            keep_last: 1,
            keep_best: false,
            max_bad: 0.01,
            loader: LoaderOptions::default(),
            defaults: None,
            stages: Vec::new(),
            folder: PathBuf::new(),
        }
    }
}
