//! What a run will take, before it begins: its steps and tokens from the plans of some samples, memory from the sizes
//! of what is learned, time from a step that is measured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::weights::{Learn, ParameterGroup, ParameterRole};

use super::mixture::Draw;
use super::objective::{ReferenceLogProbs, ReferenceTable, count_pair_tokens};
use super::optimizer::Optimizer;
use super::pack::count_tokens;
use super::probe_heads::ProbeHeads;
use super::processes::{Collectives, ProcessGroup, check_packs};
use super::recipe::{GROUPS, Recipe, Stage};
use super::trainer::{Origin, PackWork, PlannedStage, RunPlan, StageModel};
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
    /// Of them: pairs of preferences.
    pub pairs: usize,
    /// What learning preferences takes besides; `None` where answers are learned, of pairs the chosen ones.
    pub reference: Option<ReferenceEstimate>,
    /// Tokens of one of the others, in the mean; visual tokens as before pruning. A pair has those of both
    /// conversations.
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
    /// Bytes of a frozen encoder's features of all samples of the data files, each counted with its own media; 0 where
    /// features are not kept.
    pub feature_bytes: u64,
    /// Bytes of memory for media and features that later epochs show again.
    pub kept_bytes: u64,
    /// Bytes of disk that features may take.
    pub disk_bytes: u64,
    /// Samples of the step that was measured.
    pub measured_samples: usize,
    /// Seconds of a whole step, without what several processes send to each other; `None` when no sample was of use.
    pub step_seconds: Option<f64>,
}

/// What the reference of a stage that learns preferences takes.
#[derive(Clone, Debug, Serialize)]
pub struct ReferenceEstimate {
    /// How much a nat between the model and its reference counts.
    pub beta: f64,
    /// Whether its log-probabilities are computed before the stage and stored; else the model computes them in each
    /// step with its adapters switched off.
    pub is_stored: bool,
    /// Pairs that are computed before the stage, or in each step.
    pub pairs: u64,
    /// Seconds of one of them; `None` when no sample was of use.
    pub pair_seconds: Option<f64>,
    /// Bytes of the file.
    pub file_bytes: u64,
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
        let loader = active.loader(stage);
        let work = PackWork {
            model: active.model.as_ref(),
            aligner: active.aligner.as_deref(),
            seed: self.origin.seed,
            heads: &heads,
            trained: &active.trained,
            stage,
            options: &active.options,
            mixture: &planned.mixture,
            reference: None,
            loader: &loader,
            feed: None,
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
            pairs: 0,
            reference: None,
            sample_tokens: 0.0,
            visual_tokens: 0.0,
            longest: 0,
            step_tokens: 0.0,
            weight_bytes: active.model.weights().summary().resident_bytes,
            gradient_bytes: 0,
            moment_bytes: 0,
            feature_bytes: 0,
            kept_bytes: self.plan.recipe.loader.kept_bytes(),
            disk_bytes: self.plan.recipe.loader.disk_bytes(),
            measured_samples: 0,
            step_seconds: None,
        };
        count(&mut estimate, &work, &draws, stage.batch);
        if self.plan.recipe.loader.keep_features && stage.learn(ParameterGroup::Vision) == Learn::Frozen {
            estimate.feature_bytes = feature_bytes(&work, &draws, estimate.epoch);
        }
        let mut group = ProcessGroup::new(self.processes.clone());
        group.share(&active.trained, &mut BTreeMap::new());
        // Of the process with the largest part of a step.
        let packs = stage.batch.div_ceil(stage.pack).div_ceil(self.processes());
        memory(&mut estimate, &active, &group, work.at_once().min(packs));
        let samples = stage.batch.min(packs * stage.pack);
        let draws = &draws[..draws.len().min(stage.pack.saturating_mul(work.at_once()))];
        let before = number.checked_sub(1).map(|before| &self.plan.recipe.stages[before]);
        let table = reference(&mut estimate, &work, draws, (planned, before))?;
        let work = PackWork { reference: table.as_ref(), ..work };
        measure(&mut estimate, &work, draws, &active.optimizer, (samples, self.processes()))?;
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
    let (processor, is_dpo) = (&**work.model.processor(), work.stage.objective.dpo().is_some());
    let contrastive = work.contrastive();
    for draw in draws {
        let Ok(sample) = work.mixture.sample(draw) else {
            estimate.bad += 1;
            continue;
        };
        estimate.pairs += usize::from(sample.rejected.is_some());
        let counted = match &contrastive {
            // Without the decoder: the words of the caption.
            Some(work) => work.words(&sample).map(|words| Some((words.len(), 0, words.len()))),
            None if is_dpo => count_pair_tokens(processor, &sample, work.options),
            None => count_tokens(processor, &sample, work.options).map(|(all, shown)| Some((all, shown, all))),
        };
        match counted {
            Err(_) | Ok(None) => estimate.bad += 1,
            Ok(Some((_, _, longest))) if work.stage.max_tokens.is_some_and(|most| longest > most) => {
                estimate.too_long += 1;
            }
            Ok(Some((all, shown, longest))) => {
                (used, tokens, visual) = (used + 1, tokens + all, visual + shown);
                estimate.longest = estimate.longest.max(longest);
            }
        }
    }
    let mean = |sum: usize| sum as f64 / used.max(1) as f64;
    (estimate.sample_tokens, estimate.visual_tokens) = (mean(tokens), mean(visual));
    estimate.step_tokens = tokens as f64 * batch as f64 / draws.len().max(1) as f64;
}

/// Bytes of the encoder's features, before pruning, of `epoch` samples such as those of `draws`.
fn feature_bytes(work: &PackWork<'_>, draws: &[Draw], epoch: u64) -> u64 {
    let processor = work.model.processor();
    let value = work.model.weights().group(ParameterGroup::Vision).held_as().dtype.size_in_bytes();
    let bytes = |draw: &Draw| {
        let plans = work.mixture.sample(draw).ok()?.plan(&**processor, work.options).ok()?;
        let rows: usize = plans.iter().map(|plan| processor.feature_rows(plan)).sum();
        Some((rows * processor.info().feature_width * value) as f64)
    };
    let all: Vec<f64> = draws.iter().filter_map(bytes).collect();
    (all.iter().sum::<f64>() / all.len().max(1) as f64 * epoch as f64) as u64
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

/// Times what the reference says of `draws`, where the stage, which comes after `before`, learns preferences; gives it
/// where it is stored.
fn reference(
    estimate: &mut StageEstimate,
    work: &PackWork<'_>,
    draws: &[Draw],
    (planned, before): (&PlannedStage, Option<&Stage>),
) -> Result<Option<ReferenceTable>, LabError> {
    let Some(dpo) = work.stage.objective.dpo() else { return Ok(None) };
    let is_stored = work.stage.stores_reference(before);
    let begun = Instant::now();
    let log_probs = match work.stage.has_new_adapters_only(before) {
        true => work.model.weights().without_adapters(|| work.log_probs(draws, work.stage.pack))?,
        false => work.log_probs(draws, work.stage.pack)?,
    };
    let used = log_probs.iter().flatten().count();
    let pairs = if is_stored {
        planned.rows(work.stage.batch).len() + planned.held_out_rows(work.stage).len()
    } else {
        work.stage.batch
    } as u64;
    estimate.reference = Some(ReferenceEstimate {
        beta: dpo.beta,
        is_stored,
        pairs,
        pair_seconds: (used > 0).then(|| begun.elapsed().as_secs_f64() / used as f64),
        file_bytes: if is_stored { pairs * ReferenceLogProbs::PAIR_BYTES } else { 0 },
    });
    Ok(is_stored.then(|| draws.iter().map(Draw::row).zip(log_probs).collect()))
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
    let begun = Instant::now();
    let sum = work.learn(draws)?;
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
