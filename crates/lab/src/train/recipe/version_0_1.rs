//! Recipes of version 0.1: JSON, with one rate and one schedule for all stages, of drawn scenes alone.

use serde::Deserialize;
use toml::{Table, Value};

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
    set: Table,
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
    let mut recipe = Table::new();
    recipe.insert("seed".into(), whole(old.seed)?);
    recipe.insert("save_every".into(), whole(old.save_every as u64)?);
    let stages = old.stages.iter().enumerate().map(|(number, stage)| old.stage(number, stage));
    recipe.insert("stage".into(), Value::Array(stages.collect::<Result<_, String>>()?));
    toml::to_string(&recipe).map_err(|error| error.to_string())
}

impl OldRecipe {
    fn stage(&self, number: usize, old: &OldStage) -> Result<Value, String> {
        let mut stage = Table::new();
        stage.insert("name".into(), old.name.clone().into());
        stage.insert("steps".into(), whole(old.steps as u64)?);
        stage.insert("turns".into(), whole(old.turns as u64)?);
        stage.insert("token_loss_weight".into(), old.token_loss_weight.into());
        let mut set = old.set.clone();
        if let Some(prune) = old.prune {
            set.insert("prune".into(), prune.into());
        }
        stage.insert("set".into(), set.into());
        stage.insert("data".into(), Value::Array(old.mix.iter().map(entry).collect()));
        // One schedule over all stages: the others go on with that of the first one.
        if number > 0 {
            stage.insert("continues".into(), true.into());
            return Ok(stage.into());
        }
        stage.insert("batch".into(), whole(self.batch as u64)?);
        stage.insert("pack".into(), whole(self.pack as u64)?);
        stage.insert("optimizer".into(), self.optimizer().into());
        let mut schedule = Table::new();
        schedule.insert("kind".into(), "cosine".into());
        schedule.insert("warmup".into(), whole(self.warmup as u64)?);
        schedule.insert("min_ratio".into(), self.min_lr_ratio.into());
        stage.insert("schedule".into(), schedule.into());
        Ok(stage.into())
    }

    fn optimizer(&self) -> Table {
        let mut optimizer = Table::new();
        optimizer.insert("kind".into(), if self.muon.is_some() { "muon" } else { "adamw" }.into());
        optimizer.insert("lr".into(), self.lr.into());
        if let Some(muon) = self.muon {
            optimizer.insert("muon_lr".into(), muon.into());
        }
        for (name, value) in [("weight_decay", self.weight_decay), ("beta2", self.beta2), ("clip", self.clip)] {
            optimizer.insert(name.into(), value.into());
        }
        optimizer
    }
}

fn entry(old: &OldEntry) -> Value {
    let mut entry = Table::new();
    entry.insert("drawn".into(), old.drawn.clone().into());
    entry.insert("weight".into(), old.share.into());
    if !old.kinds.is_empty() {
        entry.insert("kinds".into(), old.kinds.clone().into());
    }
    entry.into()
}

fn whole(value: u64) -> Result<Value, String> {
    i64::try_from(value).map(Value::from).map_err(|_| format!("{value} is beyond what a recipe can hold"))
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
