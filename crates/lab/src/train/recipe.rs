//! What to train on, for how long and how fast: a JSON file.

use std::path::Path;

use serde::{Deserialize, Serialize};
use zoetrope_models::contract::settings::Settings;

use super::lr_schedule::CosineSchedule;
use super::optimizer::Optimizer;
use crate::error::LabError;
use crate::synth::{Difficulty, QuestionKind};

/// A training run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Seed of the initial weights and of the samples.
    pub seed: u64,
    /// Samples per step.
    pub batch: usize,
    /// Samples per pack.
    pub pack: usize,
    /// Peak learning rate.
    #[serde(alias = "rate")]
    pub lr: f64,
    /// Peak learning rate of Muon for hidden matrices; without it, AdamW updates them, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muon: Option<f64>,
    /// Steps of linear warm-up.
    pub warmup: usize,
    /// Final learning rate as a share of the peak (cosine decay).
    #[serde(alias = "floor")]
    pub min_lr_ratio: f64,
    /// Decoupled weight decay of matrices (AdamW).
    pub weight_decay: f64,
    /// Decay rate of the second moment (AdamW).
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
    /// Optimizer steps.
    pub steps: usize,
    /// The mixture of synthetic scenes.
    pub mix: Vec<MixEntry>,
    /// Most question-answer turns about one scene. With 0, only the loss of the visual tokens trains.
    pub turns: usize,
    /// Weight of the [probe heads'](super::ProbeHeads) loss on visual tokens, relative to the loss of the answers.
    #[serde(default, alias = "tokens")]
    pub token_loss_weight: f64,
    /// Settings of the model's family, as `--set` takes them.
    #[serde(default)]
    pub set: Settings,
    /// The setting `prune`, as recipes of version 0.1 wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prune: Option<bool>,
}

/// One part of a stage's mixture.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixEntry {
    /// Name of the [`Difficulty`] of the scenes: `one_object`, `pictures`, `easy_clips`, `clips` or `full`.
    #[serde(rename = "drawn")]
    pub difficulty: String,
    /// Weight in the mixture.
    pub share: f64,
    /// Kinds of questions; those of the difficulty when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<QuestionKind>,
}

impl Recipe {
    /// Reads and checks a recipe file.
    pub fn read(file: &Path) -> Result<Self, LabError> {
        let wrong = |what: String| LabError::File { file: file.to_path_buf(), what };
        let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        let recipe: Recipe = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        recipe.check()?;
        Ok(recipe)
    }

    fn check(&self) -> Result<(), LabError> {
        if self.batch == 0 || self.pack == 0 || self.save_every == 0 || self.stages.is_empty() {
            return Err(LabError::Caller("batch, pack, save_every and stages must not be empty".to_string()));
        }
        for stage in &self.stages {
            if stage.mix.is_empty()
                || stage.mix.iter().any(|entry| entry.share <= 0.0)
                || stage.turns == 0 && stage.token_loss_weight == 0.0
            {
                let text = format!("stage {} has an empty mix, or neither turns nor token_loss_weight", stage.name);
                return Err(LabError::Caller(text));
            }
            for entry in &stage.mix {
                entry.difficulty()?;
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

    /// Learning rate of a step (from 0): linear warm-up, then cosine decay.
    pub fn lr_at(&self, step: usize) -> f64 {
        let (warmup, steps) = (self.warmup, self.steps());
        CosineSchedule { lr: self.lr, warmup, steps, min_ratio: self.min_lr_ratio }.lr_at(step)
    }

    /// Settings of the optimizer.
    pub fn optimizer(&self) -> Optimizer {
        Optimizer {
            beta1: 0.9,
            beta2: self.beta2 as f32,
            eps: 1e-8,
            weight_decay: self.weight_decay as f32,
            clip: self.clip as f32,
            muon: self.muon.map(|lr| (lr / self.lr) as f32),
        }
    }
}

impl Stage {
    /// The settings of the model's family.
    pub fn settings(&self) -> Settings {
        match self.prune {
            Some(prune) => self.set.clone().with("prune", prune),
            None => self.set.clone(),
        }
    }

    /// The difficulty at `unit` in [0, 1) of the mixture's cumulative weight.
    pub fn difficulty_at(&self, unit: f64) -> Result<Difficulty, LabError> {
        let total: f64 = self.mix.iter().map(|entry| entry.share).sum();
        let mut left = unit * total;
        for entry in &self.mix {
            left -= entry.share;
            if left < 0.0 {
                return entry.difficulty();
            }
        }
        self.mix[self.mix.len() - 1].difficulty()
    }
}

impl MixEntry {
    fn difficulty(&self) -> Result<Difficulty, LabError> {
        let mut difficulty = Difficulty::named(&self.difficulty).map_err(LabError::Caller)?;
        if !self.kinds.is_empty() {
            difficulty.kinds.clone_from(&self.kinds);
        }
        Ok(difficulty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recipe with the field names of version 0.1.
    #[test]
    fn older_names_are_accepted() {
        let text = r#"{"seed": 1, "batch": 2, "pack": 1, "rate": 0.5, "warmup": 1, "floor": 0.1, "weight_decay": 0.0,
            "beta2": 0.98, "clip": 1.0, "save_every": 1, "stages": [{"name": "one", "steps": 3, "turns": 0,
            "tokens": 2.0, "prune": true, "mix": [{"drawn": "clips", "share": 1, "kinds": ["colour", "color"]}]}]}"#;
        let recipe: Recipe = serde_json::from_str(text).unwrap();
        recipe.check().unwrap();
        assert_eq!((recipe.lr, recipe.min_lr_ratio, recipe.stages[0].token_loss_weight), (0.5, 0.1, 2.0));
        assert_eq!(recipe.stages[0].settings().flag("prune"), Some(true));
        assert_eq!(recipe.stages[0].mix[0].kinds, [QuestionKind::Color; 2]);
    }
}
