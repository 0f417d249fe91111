//! What to train on, for how long and how fast: a JSON file.

use std::path::Path;

use serde::{Deserialize, Serialize};
use zoetrope_models::contract::settings::Settings;

use super::lr_schedule::CosineSchedule;
use super::optimizer::Optimizer;
use crate::error::LabError;
use crate::synth::{Difficulty, QuestionKind};

/// Most samples of a step, most steps of a run and most turns about a scene: beyond them is a slip of the hand.
const MAX_BATCH: usize = 1 << 16;
const MAX_STEPS: usize = 1 << 32;
const MAX_TURNS: usize = 1 << 10;

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
        recipe.check().map_err(wrong)?;
        Ok(recipe)
    }

    /// What is wrong with the first value that makes no sense, by its field.
    fn check(&self) -> Result<(), String> {
        count("batch", self.batch, MAX_BATCH)?;
        count("pack", self.pack, MAX_BATCH)?;
        count("save_every", self.save_every, MAX_STEPS)?;
        let above_zero = |value: f64| value > 0.0;
        number("lr", self.lr, above_zero, "above 0")?;
        if let Some(muon) = self.muon {
            number("muon", muon, above_zero, "above 0")?;
        }
        number("min_lr_ratio", self.min_lr_ratio, |value| (0.0..=1.0).contains(&value), "from 0 to 1")?;
        number("weight_decay", self.weight_decay, |value| value >= 0.0, "0 or above")?;
        number("beta2", self.beta2, |value| value > 0.0 && value < 1.0, "above 0 and below 1")?;
        number("clip", self.clip, above_zero, "above 0")?;
        if self.stages.is_empty() {
            return Err("stages: there is none".to_string());
        }
        for (index, stage) in self.stages.iter().enumerate() {
            stage.check().map_err(|what| format!("stages[{index}] ({:?}): {what}", stage.name))?;
        }
        let steps = self.stages.iter().try_fold(0usize, |sum, stage| sum.checked_add(stage.steps));
        let steps = steps.filter(|&steps| steps <= MAX_STEPS).ok_or(format!("stages: more than {MAX_STEPS} steps"))?;
        if self.warmup > steps {
            return Err(format!("warmup: {} of the {steps} steps", self.warmup));
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
    fn check(&self) -> Result<(), String> {
        count("steps", self.steps, MAX_STEPS)?;
        if self.turns > MAX_TURNS {
            return Err(format!("turns: {} is more than the limit of {MAX_TURNS}", self.turns));
        }
        number("token_loss_weight", self.token_loss_weight, |value| value >= 0.0, "0 or above")?;
        if self.turns == 0 && self.token_loss_weight == 0.0 {
            return Err("turns and token_loss_weight: both are 0, so nothing is learned".to_string());
        }
        if self.mix.is_empty() {
            return Err("mix: there is none".to_string());
        }
        for (index, entry) in self.mix.iter().enumerate() {
            let wrong = |what: String| format!("mix[{index}]: {what}");
            number("share", entry.share, |value| value > 0.0, "above 0").map_err(wrong)?;
            entry.difficulty().map_err(|error| wrong(error.to_string()))?;
        }
        Ok(())
    }

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

fn count(field: &str, value: usize, limit: usize) -> Result<(), String> {
    match value {
        0 => Err(format!("{field}: must be at least 1")),
        value if value > limit => Err(format!("{field}: {value} is more than the limit of {limit}")),
        _ => Ok(()),
    }
}

fn number(field: &str, value: f64, holds: impl Fn(f64) -> bool, words: &str) -> Result<(), String> {
    if value.is_finite() && holds(value) { Ok(()) } else { Err(format!("{field}: {value} is not {words}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        let stage = r#"{"name": "one", "steps": 6, "turns": 2, "mix": [{"drawn": "clips", "share": 1}]}"#;
        let text = format!(
            r#"{{"seed": 1, "batch": 2, "pack": 1, "lr": 0.5, "warmup": 1, "min_lr_ratio": 0.1, "weight_decay": 0.0,
                "beta2": 0.98, "clip": 1.0, "save_every": 1, "stages": [{stage}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        type Change = fn(&mut Recipe);
        let wrong: [(&str, Change); 20] = [
            ("lr: -1", |r| r.lr = -1.0),
            ("lr: NaN", |r| r.lr = f64::NAN),
            ("lr: inf", |r| r.lr = f64::INFINITY),
            ("muon: 0", |r| r.muon = Some(0.0)),
            ("warmup: 7 of the 6 steps", |r| r.warmup = 7),
            ("min_lr_ratio: 1.5", |r| r.min_lr_ratio = 1.5),
            ("weight_decay: -0.1", |r| r.weight_decay = -0.1),
            ("beta2: 1 is", |r| r.beta2 = 1.0),
            ("clip: 0", |r| r.clip = 0.0),
            ("batch: must", |r| r.batch = 0),
            ("batch: 1000000", |r| r.batch = 1_000_000),
            ("pack: must", |r| r.pack = 0),
            ("save_every: must", |r| r.save_every = 0),
            ("stages: there", |r| r.stages.clear()),
            (r#"stages[0] ("one"): steps: must"#, |r| r.stages[0].steps = 0),
            (r#"stages[0] ("one"): turns and"#, |r| r.stages[0].turns = 0),
            (r#"stages[0] ("one"): turns: 5000"#, |r| r.stages[0].turns = 5000),
            (r#"stages[0] ("one"): mix: there"#, |r| r.stages[0].mix.clear()),
            (r#"stages[0] ("one"): mix[0]: share: NaN"#, |r| r.stages[0].mix[0].share = f64::NAN),
            (r#"stages[0] ("one"): mix[0]: "#, |r| r.stages[0].mix[0].difficulty = "hard".into()),
        ];
        recipe().check().unwrap();
        for (expected, change) in wrong {
            let mut recipe = recipe();
            change(&mut recipe);
            let text = recipe.check().unwrap_err();
            assert!(text.starts_with(expected), "{text}");
        }
    }

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
