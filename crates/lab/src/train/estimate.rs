//! What a run will take, before it begins: its steps and tokens from the plans of some samples, memory from the sizes
//! of what is learned, time from a step that is measured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::weights::{Learn, ParameterRole};

use super::mixture::Draw;
use super::optimizer::Optimizer;
use super::pack::count_tokens;
use super::probe_heads::ProbeHeads;
use super::processes::{Collectives, ProcessGroup, check_packs};
use super::recipe::{GROUPS, Recipe};
use super::trainer::{Origin, PackWork, RunPlan, StageModel};
use crate::data;
use crate::error::LabError;

/// Samples of a stage whose tokens are counted.
const LOOKED_AT: usize = 64;

/// A run that is looked at and not begun: nothing is written.
pub struct DryRun {
    plan: RunPlan,
    origin: Origin,
    processes: Arc<dyn Collectives>,
}

/// What a stage will take.
#[derive(Clone, Debug, Serialize)]
pub struct StageEstimate {
    /// Its name.
    pub name: String,
    /// Where its numbers come from.
    pub source: String,
    /// Optimizer steps.
    pub steps: usize,
    /// Samples of all steps.
    pub samples: u64,
    /// Samples of its data files; 0 when it has none.
    pub epoch: u64,
    /// What is done with each group.
    pub groups: Vec<GroupEstimate>,
    /// Samples whose tokens were counted.
    pub looked_at: usize,
    /// Of them: those that could not be used.
    pub bad: usize,
    /// Of them: those that were longer than the stage allows.
    pub too_long: usize,
    /// Tokens of one of the others, in the mean; visual tokens as before pruning.
    pub sample_tokens: f64,
    /// Visual tokens among them.
    pub visual_tokens: f64,
    /// Tokens of the longest one.
    pub longest: usize,
    /// Tokens of a step.
    pub step_tokens: f64,
    /// Bytes of weights that are in memory.
    pub weight_bytes: usize,
    /// Bytes of gradients: the sum, and those of the packs that are computed at once.
    pub gradient_bytes: usize,
    /// Bytes of the optimizer's moments; of several processes, those of this one.
    pub moment_bytes: usize,
    /// Samples of the step that was measured.
    pub measured_samples: usize,
    /// Seconds of a whole step, without what several processes send to each other; `None` when no sample was of use.
    pub step_seconds: Option<f64>,
}

/// What is done with a group.
#[derive(Clone, Debug, Serialize)]
pub struct GroupEstimate {
    /// Its name.
    pub group: &'static str,
    /// "frozen", "full" or "lora".
    pub learn: &'static str,
    /// What its matrices are held as.
    pub held_as: &'static str,
    /// Values that it has, without adapters.
    pub values: usize,
    /// Values that are learned.
    pub learned: usize,
    /// Peak learning rate.
    pub lr: f64,
}

impl DryRun {
    /// Looks at a run of `recipe` in these processes that would begin with `template`.
    ///
    /// # Errors
    /// When a data file cannot be read, and when a step has fewer packs than there are processes.
    pub fn open(
        processes: Arc<dyn Collectives>,
        template: &Checkpoint,
        recipe: Recipe,
        from_scratch: bool,
    ) -> Result<Self, LabError> {
        check_packs(&recipe, &*processes)?;
        let plan = RunPlan::open(recipe, &data::open)?;
        let origin = Origin { template: template.clone(), from_scratch, seed: plan.recipe.seed };
        Ok(DryRun { plan, origin, processes })
    }

    /// Number of stages.
    pub fn stages(&self) -> usize {
        self.plan.stages.len()
    }

    /// Steps of all stages.
    pub fn steps(&self) -> usize {
        self.plan.steps()
    }

    /// Number of processes.
    pub fn processes(&self) -> usize {
        self.processes.size()
    }

    /// Loads the model as stage `number` (from 0) holds it, counts the tokens of some samples and measures a step.
    ///
    /// # Errors
    /// When the model cannot be loaded, or the step fails.
    pub fn stage(&self, number: usize) -> Result<StageEstimate, LabError> {
        let (stage, planned) = (&self.plan.recipe.stages[number], &self.plan.stages[number]);
        let mut active = StageModel::open(&self.origin, (number, stage), &self.origin.begin()?, None)?;
        self.plan.check_settings(&**active.model.processor())?;
        let heads = ProbeHeads::new(active.model.processor().info().hidden, None, self.origin.seed)?;
        active.turn_to((number, stage), &heads);
        let draws = planned.draws(planned.first_sample, LOOKED_AT.min(stage.batch));
        let work = PackWork {
            model: active.model.as_ref(),
            heads: &heads,
            trained: &active.trained,
            stage,
            options: &active.options,
            mixture: &planned.mixture,
        };
        let mut estimate = StageEstimate {
            name: stage.name.clone(),
            source: stage.source.clone(),
            steps: planned.steps,
            samples: planned.steps as u64 * stage.batch as u64,
            epoch: planned.mixture.epoch(),
            groups: self.groups(number, &active),
            looked_at: draws.len(),
            bad: 0,
            too_long: 0,
            sample_tokens: 0.0,
            visual_tokens: 0.0,
            longest: 0,
            step_tokens: 0.0,
            weight_bytes: active.model.weights().summary().resident_bytes,
            gradient_bytes: 0,
            moment_bytes: 0,
            measured_samples: 0,
            step_seconds: None,
        };
        count(&mut estimate, &work, &draws, stage.batch);
        let mut group = ProcessGroup::new(self.processes.clone());
        group.share(&active.trained, &mut BTreeMap::new());
        // Of the process with the largest part of a step.
        let packs = stage.batch.div_ceil(stage.pack).div_ceil(self.processes());
        memory(&mut estimate, &active, &group, work.at_once().min(packs));
        let samples = stage.batch.min(packs * stage.pack);
        measure(&mut estimate, &work, &draws, &active.optimizer, (samples, self.processes()))?;
        Ok(estimate)
    }

    fn groups(&self, number: usize, active: &StageModel) -> Vec<GroupEstimate> {
        let stage = &self.plan.recipe.stages[number];
        let weights = active.model.weights();
        let parameters = weights.parameters();
        let group = |group| {
            let lora = |role| matches!(role, ParameterRole::LoraDown | ParameterRole::LoraUp);
            let own = parameters.values().filter(|parameter| parameter.group == group && !lora(parameter.role));
            let trained = active.trained.values().filter(|trained| trained.group == group);
            GroupEstimate {
                group: group.name(),
                learn: match stage.learn(group) {
                    Learn::Frozen => "frozen",
                    Learn::Full => "full",
                    Learn::Lora { .. } => "lora",
                },
                held_as: weights.group(group).held_as().name(),
                values: own.map(|parameter| parameter.values).sum(),
                learned: trained.map(|trained| trained.variable.elem_count()).sum(),
                lr: stage.optimizer.lr * stage.lr_share(group),
            }
        };
        GROUPS.map(group).to_vec()
    }
}

fn count(estimate: &mut StageEstimate, work: &PackWork<'_>, draws: &[Draw], batch: usize) {
    let (mut used, mut tokens, mut visual) = (0usize, 0usize, 0usize);
    for draw in draws {
        let counted = work.mixture.sample(draw).map_err(|bad| bad.to_string()).and_then(|sample| {
            count_tokens(&**work.model.processor(), &sample, work.options).map_err(|error| error.to_string())
        });
        match counted {
            Err(_) => estimate.bad += 1,
            Ok((all, _)) if work.stage.max_tokens.is_some_and(|most| all > most) => estimate.too_long += 1,
            Ok((all, shown)) => {
                (used, tokens, visual) = (used + 1, tokens + all, visual + shown);
                estimate.longest = estimate.longest.max(all);
            }
        }
    }
    let mean = |sum: usize| sum as f64 / used.max(1) as f64;
    (estimate.sample_tokens, estimate.visual_tokens) = (mean(tokens), mean(visual));
    estimate.step_tokens = tokens as f64 * batch as f64 / draws.len().max(1) as f64;
}

fn memory(estimate: &mut StageEstimate, active: &StageModel, group: &ProcessGroup, at_once: usize) {
    let bytes: usize = active.trained.values().map(|trained| 4 * trained.variable.elem_count()).sum();
    estimate.gradient_bytes = bytes * (1 + at_once);
    let moments = |trained: &super::optimizer::Trained| {
        let muon = active.optimizer.muon.is_some() && trained.role == ParameterRole::HiddenMatrix;
        trained.variable.elem_count() * if muon { 4 } else { 8 }
    };
    let own = active.trained.iter().filter(|(name, _)| group.updates(name));
    estimate.moment_bytes = own.map(|(_, trained)| moments(trained)).sum();
}

/// Times a step over as many packs as are computed at once; the model is thrown away afterwards. A process computes
/// `samples` of a step, and one of `processes` parts of the update.
fn measure(
    estimate: &mut StageEstimate,
    work: &PackWork<'_>,
    draws: &[Draw],
    optimizer: &Optimizer,
    (samples, processes): (usize, usize),
) -> Result<(), LabError> {
    let draws = &draws[..draws.len().min(work.stage.pack.saturating_mul(work.at_once()))];
    let begun = Instant::now();
    let sum = work.step(draws)?;
    let gradients = begun.elapsed().as_secs_f64();
    if sum.count == 0.0 {
        return Ok(());
    }
    let begun = Instant::now();
    optimizer.step(work.trained, &sum.gradients, &mut BTreeMap::new(), sum.count as f32, 0.0, 1)?;
    let update = begun.elapsed().as_secs_f64();
    estimate.measured_samples = draws.len();
    estimate.step_seconds = Some(gradients * samples as f64 / draws.len() as f64 + update / processes as f64);
    Ok(())
}
