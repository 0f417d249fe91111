//! What to train on, for how long and how fast: a JSON file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Optimizer, TrainError};
use crate::draw::{Difficulty, Kind};

/// A training run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Seed of the initial weights and of the samples.
    pub seed: u64,
    /// Samples of one step.
    pub batch: usize,
    /// Samples packed into one row.
    pub pack: usize,
    /// Peak learning rate.
    pub rate: f64,
    /// Muon's peak learning rate for hidden matrices; AdamW updates them too when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muon: Option<f64>,
    /// Steps of linear warm-up.
    pub warmup: usize,
    /// Final learning rate as a share of the peak (cosine decay).
    pub floor: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Largest global gradient norm.
    pub clip: f64,
    /// Steps between checkpoints.
    pub save_every: usize,
    /// The stages, in order.
    pub stages: Vec<Stage>,
}

/// One stage of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// What it is for.
    pub name: String,
    /// Optimiser steps.
    pub steps: usize,
    /// Drawn material.
    pub mix: Vec<Material>,
    /// Most question-answer turns about one scene; 0 asks nothing, so that only the visual tokens learn.
    pub turns: usize,
    /// Weight of the loss by which every visual token learns to tell what it shows, beside that of the answers.
    #[serde(default)]
    pub tokens: f64,
    /// Whether DiffFP prunes.
    pub prune: bool,
}

/// One kind of drawn material of a stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Material {
    /// How hard: `one_object`, `pictures`, `easy_clips`, `clips` or `full`.
    pub drawn: String,
    /// How much of it, relative to the stage's other material.
    pub share: f64,
    /// What is asked; the difficulty's own kinds when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Kind>,
}

impl Recipe {
    /// Reads and checks a recipe file.
    pub fn read(file: &Path) -> Result<Self, TrainError> {
        let wrong = |what: String| TrainError::File { file: file.to_path_buf(), what };
        let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        let recipe: Recipe = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        recipe.check()?;
        Ok(recipe)
    }

    fn check(&self) -> Result<(), TrainError> {
        if self.batch == 0 || self.pack == 0 || self.save_every == 0 || self.stages.is_empty() {
            return Err(TrainError::Caller("batch, pack, save_every and stages must not be empty".to_string()));
        }
        for stage in &self.stages {
            if stage.mix.is_empty()
                || stage.mix.iter().any(|one| one.share <= 0.0)
                || stage.turns == 0 && stage.tokens == 0.0
            {
                let text = format!("stage {} has no material, or neither turns nor tokens to learn from", stage.name);
                return Err(TrainError::Caller(text));
            }
            for one in &stage.mix {
                one.difficulty()?;
            }
        }
        Ok(())
    }

    /// Steps of all stages.
    pub fn steps(&self) -> usize {
        self.stages.iter().map(|stage| stage.steps).sum()
    }

    /// The stage of a step (from 0).
    pub fn stage(&self, step: usize) -> &Stage {
        let mut end = 0;
        for stage in &self.stages {
            end += stage.steps;
            if step < end {
                return stage;
            }
        }
        &self.stages[self.stages.len() - 1]
    }

    /// Learning rate of a step (from 0): linear warm-up, then cosine to the floor.
    pub fn rate_at(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.rate * (step + 1) as f64 / self.warmup as f64;
        }
        let left = (self.steps() - self.warmup).max(1) as f64;
        let done = ((step - self.warmup) as f64 / left).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        self.rate * (self.floor + (1.0 - self.floor) * cosine)
    }

    /// The optimiser's settings.
    pub fn optimizer(&self) -> Optimizer {
        Optimizer {
            beta1: 0.9,
            beta2: self.beta2 as f32,
            eps: 1e-8,
            weight_decay: self.weight_decay as f32,
            clip: self.clip as f32,
            muon: self.muon.map(|rate| (rate / self.rate) as f32),
        }
    }
}

impl Stage {
    /// The difficulty that the number `unit` in [0, 1) picks.
    pub fn pick(&self, unit: f64) -> Result<Difficulty, TrainError> {
        let total: f64 = self.mix.iter().map(|one| one.share).sum();
        let mut left = unit * total;
        for one in &self.mix {
            left -= one.share;
            if left < 0.0 {
                return one.difficulty();
            }
        }
        self.mix[self.mix.len() - 1].difficulty()
    }
}

impl Material {
    fn difficulty(&self) -> Result<Difficulty, TrainError> {
        let mut difficulty = Difficulty::named(&self.drawn).map_err(TrainError::Caller)?;
        if !self.kinds.is_empty() {
            difficulty.kinds.clone_from(&self.kinds);
        }
        Ok(difficulty)
    }
}
