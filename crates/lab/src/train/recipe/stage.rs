//! One stage of a recipe.

use serde::{Deserialize, Serialize};
use zoetrope_models::contract::media_plan::PlanOptions;
use zoetrope_models::contract::settings::Settings;
use zoetrope_models::weights::{GroupRule, Learn, LoadOptions, ParameterGroup};

use super::objective::ObjectiveOptions;
use super::options::{
    EvalOptions, GroupOptions, GroupPrecision, LossPer, MixEntry, OptimizerKind, OptimizerOptions, Sampling, Schedule,
};
use crate::train::optimizer::Optimizer;

/// One stage of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stage {
    /// What it is for.
    pub name: String,
    /// Where its numbers come from.
    pub source: String,
    /// Whether it goes on with the moments of the optimizer and the schedule of the stage before, whose fields it takes
    /// where it does not say otherwise.
    pub continues: bool,
    /// Optimizer steps; this or `epochs`.
    pub steps: Option<usize>,
    /// Passes over the data files of the mixture.
    pub epochs: Option<f64>,
    /// Samples of a step.
    pub batch: usize,
    /// Samples of a pack: what one forward pass holds. The packs of a step are accumulated.
    pub pack: usize,
    /// What it learns for.
    #[serde(skip_serializing_if = "ObjectiveOptions::is_default")]
    pub objective: ObjectiveOptions,
    /// What every target token or every sample counts.
    pub loss: LossPer,
    /// Whether layers are computed again in the backward pass instead of being kept for it: less memory, a third more
    /// time.
    pub recompute: bool,
    /// Decay of running averages of what is learned (EMA), which are what the stage gives then.
    pub ema: Option<f64>,
    /// Longer samples are counted and skipped. Visual tokens count as before pruning.
    pub max_tokens: Option<usize>,
    /// Most question-answer turns about one drawn scene. With 0, only the loss of the visual tokens trains.
    pub turns: usize,
    /// Weight of the [probe heads'](crate::train::ProbeHeads) loss on visual tokens, relative to the loss of the
    /// answers.
    pub token_loss_weight: f64,
    /// Settings of the model's family, as `--set` takes them.
    pub set: Settings,
    /// How media are sampled.
    pub media: Sampling,
    /// What is learned of the vision encoder.
    pub vision: GroupOptions,
    /// What is learned of the projector.
    pub projector: GroupOptions,
    /// What is learned of the decoder.
    pub language: GroupOptions,
    /// What is learned of token embedding and output head; as of the decoder when left out, without adapters.
    pub embeddings: GroupOptions,
    /// The optimizer.
    pub optimizer: OptimizerOptions,
    /// The learning rate over the steps.
    pub schedule: Schedule,
    /// The mixture.
    pub data: Vec<MixEntry>,
    /// Evaluation on the way.
    pub eval: Option<EvalOptions>,
}

impl Default for Stage {
    fn default() -> Self {
        Stage {
            name: String::new(),
            source: String::new(),
            continues: false,
            steps: None,
            epochs: None,
            batch: 32,
            pack: 4,
            objective: ObjectiveOptions::default(),
            loss: LossPer::Token,
            recompute: false,
            ema: None,
            max_tokens: None,
            turns: 6,
            token_loss_weight: 0.0,
            set: Settings::default(),
            media: Sampling::default(),
            vision: GroupOptions::default(),
            projector: GroupOptions::default(),
            language: GroupOptions::default(),
            embeddings: GroupOptions::default(),
            optimizer: OptimizerOptions::default(),
            schedule: Schedule::default(),
            data: Vec::new(),
            eval: None,
        }
    }
}

/// The groups of a stage by their names in recipes.
pub(in crate::train) const GROUPS: [ParameterGroup; 4] =
    [ParameterGroup::Vision, ParameterGroup::Projector, ParameterGroup::Language, ParameterGroup::Embeddings];

impl Stage {
    /// What is done with a group.
    pub fn group(&self, group: ParameterGroup) -> &GroupOptions {
        match group {
            ParameterGroup::Vision => &self.vision,
            ParameterGroup::Projector => &self.projector,
            ParameterGroup::Embeddings => &self.embeddings,
            _ => &self.language,
        }
    }

    /// What is learned of a group.
    pub fn learn(&self, group: ParameterGroup) -> Learn {
        match (self.group(group).learn(), group) {
            (Some(learn), _) => learn,
            (None, ParameterGroup::Embeddings) => match self.learn(ParameterGroup::Language) {
                Learn::Full => Learn::Full,
                _ => Learn::Frozen,
            },
            (None, _) => Learn::Full,
        }
    }

    /// Whether nothing but adapters learns, which are no longer those of the stage `before`: without them it is the
    /// model that the stage begins with.
    pub(in crate::train) fn has_new_adapters_only(&self, before: Option<&Stage>) -> bool {
        GROUPS.iter().all(|group| match self.learn(*group) {
            Learn::Frozen => true,
            Learn::Full => false,
            learn @ Learn::Lora { .. } => before.is_none_or(|before| before.learn(*group) != learn),
        })
    }

    /// Whether the log-probabilities of a reference are computed before the stage, which comes after `before`.
    pub(in crate::train) fn stores_reference(&self, before: Option<&Stage>) -> bool {
        let wanted = self.objective.precompute_ref_log_probs.unwrap_or(false);
        self.objective.dpo().is_some() && (wanted || !self.has_new_adapters_only(before))
    }

    /// How the model of this stage is loaded.
    pub fn load_options(&self) -> LoadOptions {
        let rule = |group| {
            let own = self.group(group).precision.or_else(|| self.group(group.part()).precision);
            let learn = self.learn(group);
            // What is learned as a whole is float, whatever its part is held as.
            let fits = |own: &GroupPrecision| learn != Learn::Full || *own == GroupPrecision::Bf16;
            let precision = own.filter(fits).unwrap_or(GroupPrecision::F32).precision();
            GroupRule { group, precision: Some(precision), learn: Some(learn) }
        };
        LoadOptions { rules: GROUPS.map(rule).to_vec(), recompute: self.recompute, ..LoadOptions::training() }
    }

    /// Whether the model of this stage is held and learned as that of `other`.
    pub(in crate::train) fn same_model(&self, other: &Stage) -> bool {
        let held = |stage: &Stage| {
            let rules = stage.load_options().rules;
            rules.into_iter().map(|rule| (rule.precision, rule.learn)).collect::<Vec<_>>()
        };
        let heads = |stage: &Stage| stage.objective.contrastive().is_some();
        held(self) == held(other) && self.recompute == other.recompute && heads(self) == heads(other)
    }

    /// Learning rate of a group as a multiple of the stage's.
    pub fn lr_share(&self, group: ParameterGroup) -> f64 {
        let own = self.group(group).lr.or_else(|| self.group(group.part()).lr);
        own.map_or(1.0, |lr| lr / self.optimizer.lr)
    }

    /// How media are planned.
    pub fn plan_options(&self) -> PlanOptions {
        PlanOptions {
            fps: self.media.fps,
            max_frames: self.media.max_frames,
            max_visual_tokens: self.media.max_visual_tokens,
            settings: self.set.clone(),
            ..PlanOptions::default()
        }
    }

    /// Settings of the optimizer.
    pub fn optimizer(&self) -> Optimizer {
        let OptimizerOptions { kind, lr, muon_lr, weight_decay, beta1, beta2, eps, clip } = self.optimizer;
        Optimizer {
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            eps: eps as f32,
            weight_decay: weight_decay as f32,
            clip: clip as f32,
            muon: muon_lr.filter(|_| kind == OptimizerKind::Muon).map(|muon| (muon / lr) as f32),
        }
    }
}
