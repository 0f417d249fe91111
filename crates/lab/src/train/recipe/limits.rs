//! Which values of a recipe make sense. What is wrong is named by its field.

use zoetrope_models::weights::{Learn, ParameterGroup};

use super::objective::{ObjectiveKind, ObjectiveOptions};
use super::options::{
    EvalOptions, GroupPrecision, LearnKind, LossPer, MixEntry, OptimizerKind, OptimizerOptions, Sampling, Schedule,
};
use super::run::Recipe;
use super::stage::{GROUPS, Stage};

/// Most samples of a step and of an evaluation, most steps of a run, and so on: beyond them is a slip of the hand.
const MAX_BATCH: usize = 1 << 16;
const MAX_STEPS: usize = 1 << 32;
const MAX_TURNS: usize = 1 << 10;
const MAX_STAGES: usize = 64;
const MAX_ENTRIES: usize = 1 << 10;
const MAX_KEPT: usize = 1 << 10;
const MAX_TOKENS: usize = 1 << 24;
const MAX_FRAMES: usize = 1 << 20;
const MAX_RANK: usize = 1 << 12;
const MAX_RATE: f64 = 10.0;
const MAX_EPOCHS: f64 = 1e6;

type Check = Result<(), String>;

impl Recipe {
    /// # Errors
    /// What is wrong with the first value that makes no sense, by its field.
    pub(super) fn check(&self) -> Check {
        count("save_every", self.save_every, MAX_STEPS)?;
        count("keep_last", self.keep_last, MAX_KEPT)?;
        number("max_bad", self.max_bad, |value| (0.0..=1.0).contains(&value), "from 0 to 1")?;
        self.loader.check().map_err(|what| format!("loader.{what}"))?;
        if self.stages.is_empty() {
            return Err("stage: there is none".to_string());
        }
        if self.stages.len() > MAX_STAGES {
            return Err(format!("stage: {} are more than the limit of {MAX_STAGES}", self.stages.len()));
        }
        for (index, stage) in self.stages.iter().enumerate() {
            let wrong = |what: String| format!("stage {} ({:?}): {what}", index + 1, stage.name);
            stage.check().map_err(wrong)?;
            let before = index.checked_sub(1).map(|before| &self.stages[before]);
            stage.check_objective(before).map_err(wrong)?;
            if stage.continues {
                stage.check_continues(before).map_err(wrong)?;
            }
        }
        let steps = self.stages.iter().try_fold(0usize, |sum, stage| sum.checked_add(stage.steps.unwrap_or(0)));
        match steps.filter(|&steps| steps <= MAX_STEPS) {
            Some(_) => Ok(()),
            None => Err(format!("stage: more than {MAX_STEPS} steps in all")),
        }
    }
}

impl Stage {
    fn check(&self) -> Check {
        match (self.steps, self.epochs) {
            (Some(steps), None) => count("steps", steps, MAX_STEPS)?,
            (None, Some(epochs)) => {
                number("epochs", epochs, |value| value > 0.0 && value <= MAX_EPOCHS, "above 0 and at most 1000000")?;
            }
            (None, None) => return Err("steps or epochs: one of them must be given".to_string()),
            (Some(_), Some(_)) => return Err("steps and epochs: both are given".to_string()),
        }
        count("batch", self.batch, MAX_BATCH)?;
        count("pack", self.pack, MAX_BATCH)?;
        optional(self.max_tokens, |tokens| count("max_tokens", tokens, MAX_TOKENS))?;
        optional(self.ema, |ema| number("ema", ema, |value| value > 0.0 && value < 1.0, "above 0 and below 1"))?;
        most("turns", self.turns, MAX_TURNS)?;
        number("token_loss_weight", self.token_loss_weight, |value| (0.0..=1e6).contains(&value), "from 0 to 1000000")?;
        if self.turns == 0 && self.token_loss_weight == 0.0 && self.data.iter().any(|entry| entry.drawn.is_some()) {
            return Err("turns and token_loss_weight: both are 0, so nothing is learned".to_string());
        }
        self.objective.check().map_err(|what| format!("objective.{what}"))?;
        self.media.check().map_err(|what| format!("media.{what}"))?;
        self.check_groups()?;
        self.optimizer.check().map_err(|what| format!("optimizer.{what}"))?;
        self.schedule.check(self.steps).map_err(|what| format!("schedule.{what}"))?;
        check_mixture("data", &self.data)?;
        if self.epochs.is_some() && self.data.iter().all(|entry| entry.data.is_none()) {
            return Err("epochs: drawn scenes have no end; give steps".to_string());
        }
        optional(self.eval.as_ref(), |eval| eval.check().map_err(|what| format!("eval.{what}")))
    }

    /// Whether its samples can be those of its objective, and its reference be had after the stage `before`.
    fn check_objective(&self, before: Option<&Stage>) -> Check {
        let (kind, what) = match self.objective.kind {
            ObjectiveKind::CrossEntropy => return Ok(()),
            ObjectiveKind::Dpo => ("dpo", "pairs of preferences"),
            ObjectiveKind::Contrastive => ("contrastive", "media with captions"),
        };
        let eval = self.eval.iter().flat_map(|eval| &eval.data);
        if self.data.iter().chain(eval).any(|entry| entry.drawn.is_some()) {
            return Err(format!("objective.kind: drawn scenes are no {what}; {kind} needs data files"));
        }
        if self.loss == LossPer::Sample {
            return Err(format!("loss: with objective.kind = {kind:?} every sample counts alike"));
        }
        if self.token_loss_weight > 0.0 {
            return Err(format!("token_loss_weight: not with objective.kind = {kind:?}"));
        }
        if self.objective.kind == ObjectiveKind::Contrastive && self.max_tokens.is_some() {
            let what = "max_tokens: counts tokens of the decoder, which objective.kind = \"contrastive\" does without";
            return Err(format!("{what}; long captions are cut"));
        }
        if self.objective.precompute_ref_log_probs == Some(false) && !self.has_new_adapters_only(before) {
            let what = "objective.precompute_ref_log_probs: false only where nothing but new adapters learns: else \
                        the reference is gone after the first step";
            return Err(what.to_string());
        }
        Ok(())
    }

    fn check_groups(&self) -> Check {
        for group in GROUPS {
            let own = self.group(group);
            let wrong = |what: String| format!("{}.{what}", group.name());
            let lora = own.learn == Some(LearnKind::Lora);
            if lora && group == ParameterGroup::Embeddings {
                return Err(wrong("learn: adapters lie beside hidden matrices; frozen or full".to_string()));
            }
            match (lora, own.rank) {
                (true, None) => return Err(wrong("rank: must be given with learn = \"lora\"".to_string())),
                (false, Some(_)) => return Err(wrong("rank: only with learn = \"lora\"".to_string())),
                (_, rank) => optional(rank, |rank| count("rank", rank, MAX_RANK)).map_err(wrong)?,
            }
            if own.alpha.is_some() && !lora {
                return Err(wrong("alpha: only with learn = \"lora\"".to_string()));
            }
            let positive = |value: f64| value > 0.0 && value <= 1e6;
            optional(own.alpha, |alpha| number("alpha", alpha, positive, "above 0 and at most 1000000"))
                .map_err(wrong)?;
            optional(own.lr, |lr| rate("lr", lr)).map_err(wrong)?;
            if !own.only.is_empty() && self.learn(group) == Learn::Frozen {
                return Err(wrong("only: nothing of the group is learned".to_string()));
            }
            let quantized = matches!(own.precision, Some(GroupPrecision::Int8 | GroupPrecision::Int4));
            if quantized && self.learn(group) == Learn::Full {
                let what = "precision: what is learned as a whole is f32 or bf16; freeze it or learn an adapter";
                return Err(wrong(what.to_string()));
            }
        }
        if GROUPS.iter().all(|group| self.learn(*group) == Learn::Frozen) && self.token_loss_weight == 0.0 {
            return Err("vision, projector, language and embeddings: all are frozen, so nothing is learned".to_string());
        }
        Ok(())
    }

    /// Whether it can go on with the moments and the schedule of `before`.
    fn check_continues(&self, before: Option<&Stage>) -> Check {
        let Some(before) = before else {
            return Err("continues: there is no stage before it".to_string());
        };
        let groups_differ = || GROUPS.iter().any(|group| self.group(*group) != before.group(*group));
        let differs = [
            ("optimizer", self.optimizer != before.optimizer),
            ("schedule", self.schedule != before.schedule),
            ("vision, projector, language or embeddings", groups_differ()),
        ];
        match differs.iter().find(|(_, differs)| *differs) {
            Some((field, _)) => Err(format!("{field}: a stage that continues has that of the stage before")),
            None => Ok(()),
        }
    }
}

impl ObjectiveOptions {
    fn check(&self) -> Check {
        let weights = [("contrast", self.contrast), ("matching", self.matching), ("captioning", self.captioning)];
        let of_dpo = [("beta", self.beta), ("rpo_alpha", self.rpo_alpha)];
        let (dpo, contrastive) = (self.kind == ObjectiveKind::Dpo, self.kind == ObjectiveKind::Contrastive);
        let given = |fields: &[(&'static str, Option<f64>)]| {
            fields.iter().find_map(|(field, value)| value.is_some().then_some(*field))
        };
        let precompute = self.precompute_ref_log_probs.map(|_| "precompute_ref_log_probs");
        if let (false, Some(field)) = (dpo, given(&of_dpo).or(precompute)) {
            return Err(format!("{field}: only with kind = \"dpo\""));
        }
        if let (false, Some(field)) = (contrastive, given(&weights)) {
            return Err(format!("{field}: only with kind = \"contrastive\""));
        }
        if self.label_smoothing.is_some() && !dpo && !contrastive {
            return Err("label_smoothing: only with kind = \"dpo\" or \"contrastive\"".to_string());
        }
        let positive = |value: f64| value > 0.0 && value <= 1e3;
        optional(self.beta, |beta| number("beta", beta, positive, "above 0 and at most 1000"))?;
        let (most, range) = if dpo { (0.5, "0 or above and below 0.5") } else { (1.0, "0 or above and below 1") };
        let smoothing = |value: f64| (0.0..most).contains(&value);
        optional(self.label_smoothing, |value| number("label_smoothing", value, smoothing, range))?;
        for (field, weight) in weights.into_iter().chain([("rpo_alpha", self.rpo_alpha)]) {
            let sensible = |value: f64| (0.0..=1e6).contains(&value);
            optional(weight, |weight| number(field, weight, sensible, "from 0 to 1000000"))?;
        }
        if weights.iter().all(|(_, weight)| *weight == Some(0.0)) {
            return Err("contrast, matching and captioning: all are 0, so nothing is learned".to_string());
        }
        Ok(())
    }
}

impl OptimizerOptions {
    fn check(&self) -> Check {
        rate("lr", self.lr)?;
        match (self.kind, self.muon_lr) {
            (OptimizerKind::Muon, None) => return Err("muon_lr: must be given with kind = \"muon\"".to_string()),
            (OptimizerKind::AdamW, Some(_)) => return Err("muon_lr: only with kind = \"muon\"".to_string()),
            (_, lr) => optional(lr, |lr| rate("muon_lr", lr))?,
        }
        number("weight_decay", self.weight_decay, |value| (0.0..=MAX_RATE).contains(&value), "from 0 to 10")?;
        let decay = |value: f64| (0.0..1.0).contains(&value);
        number("beta1", self.beta1, decay, "0 or above and below 1")?;
        number("beta2", self.beta2, decay, "0 or above and below 1")?;
        number("eps", self.eps, |value| value > 0.0 && value <= 1.0, "above 0 and at most 1")?;
        number("clip", self.clip, |value| value > 0.0 && value <= 1e9, "above 0 and at most 1000000000")
    }
}

impl Schedule {
    fn check(&self, steps: Option<usize>) -> Check {
        if self.warmup.is_some() && self.warmup_share.is_some() {
            return Err("warmup and warmup_share: both are given".to_string());
        }
        let share = |value: f64| (0.0..=1.0).contains(&value);
        optional(self.warmup_share, |value| number("warmup_share", value, share, "from 0 to 1"))?;
        number("min_ratio", self.min_ratio, share, "from 0 to 1")?;
        match (self.warmup, steps) {
            (Some(warmup), Some(steps)) if warmup > steps => Err(format!("warmup: {warmup} of the {steps} steps")),
            (Some(warmup), _) => most("warmup", warmup, MAX_STEPS),
            _ => Ok(()),
        }
    }
}

impl Sampling {
    fn check(&self) -> Check {
        optional(self.fps, |fps| {
            number("fps", fps, |value| value > 0.0 && value <= 1000.0, "above 0 and at most 1000")
        })?;
        optional(self.max_frames, |frames| count("max_frames", frames, MAX_FRAMES))?;
        optional(self.max_visual_tokens, |tokens| count("max_visual_tokens", tokens, MAX_TOKENS))
    }
}

impl EvalOptions {
    fn check(&self) -> Check {
        count("every", self.every, MAX_STEPS)?;
        count("samples", self.samples, MAX_BATCH)?;
        check_mixture("data", &self.data)
    }
}

fn check_mixture(field: &str, entries: &[MixEntry]) -> Check {
    if entries.is_empty() {
        return Err(format!("{field}: there is none"));
    }
    if entries.len() > MAX_ENTRIES {
        return Err(format!("{field}: {} are more than the limit of {MAX_ENTRIES}", entries.len()));
    }
    let weighted = entries.iter().filter(|entry| entry.weight.is_some()).count();
    for (index, entry) in entries.iter().enumerate() {
        entry.check(weighted > 0 || entries.len() == 1).map_err(|what| format!("{field} {}: {what}", index + 1))?;
    }
    if weighted > 0 && weighted < entries.len() {
        return Err(format!("{field}: {weighted} of {} have a weight; give one to all or to none", entries.len()));
    }
    Ok(())
}

impl MixEntry {
    fn check(&self, endless_fits: bool) -> Check {
        let positive = |value: f64| value > 0.0 && value <= 1e9;
        optional(self.weight, |weight| number("weight", weight, positive, "above 0 and at most 1000000000"))?;
        match (&self.drawn, &self.data) {
            (None, None) => return Err("drawn or data: one of them must be given".to_string()),
            (Some(_), Some(_)) => return Err("drawn and data: both are given; write two entries".to_string()),
            (Some(_), None) if self.media.is_some() => return Err("media: only with data".to_string()),
            (Some(_), None) if !endless_fits => {
                return Err("weight: must be given, because drawn scenes have no end".to_string());
            }
            (None, Some(_)) if !self.kinds.is_empty() => return Err("kinds: only with drawn".to_string()),
            _ => {}
        }
        self.difficulty().map(|_| ())
    }
}

fn optional<T>(value: Option<T>, check: impl FnOnce(T) -> Check) -> Check {
    value.map_or(Ok(()), check)
}

fn count(field: &str, value: usize, limit: usize) -> Check {
    if value == 0 { Err(format!("{field}: must be at least 1")) } else { most(field, value, limit) }
}

fn most(field: &str, value: usize, limit: usize) -> Check {
    if value > limit { Err(format!("{field}: {value} is more than the limit of {limit}")) } else { Ok(()) }
}

fn rate(field: &str, value: f64) -> Check {
    if value == 0.0 {
        return Err(format!("{field}: must be given, above 0"));
    }
    number(field, value, |value| value > 0.0 && value <= MAX_RATE, "above 0 and at most 10")
}

fn number(field: &str, value: f64, holds: impl Fn(f64) -> bool, words: &str) -> Check {
    if value.is_finite() && holds(value) { Ok(()) } else { Err(format!("{field}: {value} is not {words}")) }
}
