//! Recipes of version 0.1: JSON, with one rate and one schedule for all stages, of drawn scenes alone.

use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldRecipe {
    seed: u64,
    batch: usize,
    pack: usize,
    #[serde(alias = "rate")]
    lr: f64,
    muon: Option<f64>,
    warmup: usize,
    #[serde(alias = "floor")]
    min_lr_ratio: f64,
    weight_decay: f64,
    beta2: f64,
    clip: f64,
    save_every: usize,
    stages: Vec<OldStage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldStage {
    name: String,
    steps: usize,
    mix: Vec<OldEntry>,
    turns: usize,
    #[serde(default, alias = "tokens")]
    token_loss_weight: f64,
    #[serde(default)]
    set: Map<String, Value>,
    prune: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldEntry {
    drawn: String,
    share: f64,
    #[serde(default)]
    kinds: Vec<String>,
}

/// The recipe in `json` as it is written today.
///
/// # Errors
/// What is wrong with the JSON, with its line.
pub(super) fn to_toml(json: &str) -> Result<String, String> {
    let old: OldRecipe =
        serde_json::from_str(json).map_err(|error| format!("recipes are TOML; as JSON of version 0.1: {error}"))?;
    let stages: Vec<Value> = old.stages.iter().enumerate().map(|(number, stage)| old.stage(number, stage)).collect();
    let recipe = json!({ "seed": old.seed, "save_every": old.save_every, "stage": stages });
    toml::to_string(&recipe).map_err(|error| error.to_string())
}

impl OldRecipe {
    fn stage(&self, number: usize, old: &OldStage) -> Value {
        let mut set = old.set.clone();
        set.extend(old.prune.map(|prune| ("prune".to_string(), prune.into())));
        let mut stage = json!({
            "name": old.name,
            "steps": old.steps,
            "turns": old.turns,
            "token_loss_weight": old.token_loss_weight,
            "set": set,
            "data": old.mix.iter().map(OldEntry::entry).collect::<Vec<_>>(),
        });
        // One schedule over all stages: the others go on with that of the first one.
        if number > 0 {
            stage["continues"] = true.into();
            return stage;
        }
        stage["batch"] = self.batch.into();
        stage["pack"] = self.pack.into();
        stage["schedule"] = json!({ "kind": "cosine", "warmup": self.warmup, "min_ratio": self.min_lr_ratio });
        stage["optimizer"] = self.optimizer();
        stage
    }

    fn optimizer(&self) -> Value {
        let OldRecipe { lr, weight_decay, beta2, clip, .. } = self;
        let mut optimizer =
            json!({ "kind": "adamw", "lr": lr, "weight_decay": weight_decay, "beta2": beta2, "clip": clip });
        if let Some(muon) = self.muon {
            optimizer["kind"] = "muon".into();
            optimizer["muon_lr"] = muon.into();
        }
        optimizer
    }
}

impl OldEntry {
    fn entry(&self) -> Value {
        let mut entry = json!({ "drawn": self.drawn, "weight": self.share });
        if !self.kinds.is_empty() {
            entry["kinds"] = json!(self.kinds);
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::super::Recipe;
    use super::*;

    const OLD: &str = r#"{"seed": 5, "batch": 4, "pack": 2, "rate": 1e-3, "muon": 1e-2, "warmup": 2, "floor": 0.1,
        "weight_decay": 0.0, "beta2": 0.98, "clip": 1.0, "save_every": 7, "stages": [
        {"name": "a", "steps": 3, "turns": 0, "tokens": 1.0, "prune": true, "mix": [{"drawn": "pictures", "share": 1}]},
        {"name": "b", "steps": 5, "turns": 2, "set": {"prune": false}, "mix": [
            {"drawn": "clips", "share": 0.5, "kinds": ["colour", "when"]}, {"drawn": "pictures", "share": 1.5}]}]}"#;

    const NEW: &str = r#"
        seed = 5
        save_every = 7
        [[stage]]
        name = "a"
        steps = 3
        batch = 4
        pack = 2
        turns = 0
        token_loss_weight = 1.0
        set = { prune = true }
        optimizer = { kind = "muon", lr = 0.001, muon_lr = 0.01, weight_decay = 0.0, beta2 = 0.98, clip = 1.0 }
        schedule = { kind = "cosine", warmup = 2, min_ratio = 0.1 }
        data = [{ drawn = "pictures", weight = 1.0 }]
        [[stage]]
        name = "b"
        continues = true
        steps = 5
        turns = 2
        token_loss_weight = 0.0
        set = { prune = false }
        data = [{ drawn = "clips", weight = 0.5, kinds = ["color", "when"] }, { drawn = "pictures", weight = 1.5 }]
    "#;

    fn text(recipe: &Recipe) -> String {
        toml::to_string(recipe).unwrap()
    }

    #[test]
    fn an_old_recipe_is_the_new_one_that_says_the_same() {
        let old = Recipe::parse(&to_toml(OLD).unwrap()).unwrap();
        assert_eq!(text(&old), text(&Recipe::parse(NEW).unwrap()));
    }

    #[test]
    fn what_is_wrong_with_an_old_recipe_is_named() {
        let error = to_toml(&OLD.replace("\"clip\"", "\"clap\"")).unwrap_err();
        assert!(error.contains("version 0.1") && error.contains("clap") && error.contains("line 2"), "{error}");
        let error = Recipe::parse(&to_toml(&OLD.replace("1e-3", "-1.0")).unwrap()).unwrap_err().to_string();
        assert!(error.contains("optimizer.lr"), "{error}");
    }
}
