//! The training loop: samples, forward, loss, gradients, update, checkpoint.

mod gradients;
mod outputs;
mod place;
mod plan;
mod stage_model;
mod step_report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::Tensor;
use zoetrope_models::checkpoint::Checkpoint as ModelCheckpoint;
use zoetrope_models::weights::ParameterGroup;
use zoetrope_system::files::lock;
use zoetrope_system::process_memory;

pub(super) use self::gradients::{Accumulated, PackWork};
use self::outputs::{write_learned, write_merged};
use self::place::{ADAPTER, BEST, CHECKPOINT, EXPORTED, LOCK, check_apart, check_same_run};
pub(super) use self::plan::RunPlan;
pub(super) use self::stage_model::{Origin, StageModel};
pub use self::step_report::StepReport;
use super::checkpoint::{Checkpoint, RunIdentity, TrainProgress};
use super::mixture::{Mixture, OpenData};
use super::optimizer::Moments;
use super::probe_heads::ProbeHeads;
use super::recipe::{Recipe, Stage};
use super::report::{EvalMetrics, Metrics, RunRecord, StepMetrics};
use crate::data;
use crate::error::LabError;

/// Steps of a stage before its loss may be said to grow.
const SETTLED: usize = 20;
/// Samples before the share of bad ones is judged: one of a handful says nothing.
const JUDGED: u64 = 100;

/// A training run: the model with its probe heads, the optimizer's state and the folder that keeps both.
pub struct Trainer {
    plan: RunPlan,
    origin: Origin,
    active: StageModel,
    heads: ProbeHeads,
    /// What earlier stages have learned and this one does not.
    learned: HashMap<String, Tensor>,
    moments: BTreeMap<String, Moments>,
    progress: TrainProgress,
    folder: PathBuf,
    run: RunIdentity,
    metrics: Metrics,
    /// The step of the checkpoint on disk.
    saved: Option<usize>,
    /// Held while the run is open, so that no two processes train in one folder.
    _lock: File,
    opened: Instant,
    /// Seconds of training before the run was opened.
    earlier_seconds: f64,
}

impl Trainer {
    /// The run in `folder`, continued from its checkpoint. Without one, a new run starts from the weights of
    /// `template`, or from random weights if `from_scratch`. Configuration and tokenizer are the template's.
    ///
    /// # Errors
    /// When a file is missing or wrong; when `folder` holds another run, or one that has ended and a new one is asked
    /// for; when another process trains in it; when `template` lies where the run writes.
    pub fn open(
        template: &ModelCheckpoint,
        folder: &Path,
        recipe: Recipe,
        from_scratch: bool,
    ) -> Result<Self, LabError> {
        Self::open_with(template, folder, recipe, from_scratch, &data::open)
    }

    /// As [`Trainer::open`], with data files opened by `open_data`.
    ///
    /// # Errors
    /// As [`Trainer::open`].
    pub(super) fn open_with(
        template: &ModelCheckpoint,
        folder: &Path,
        recipe: Recipe,
        from_scratch: bool,
        open_data: &OpenData<'_>,
    ) -> Result<Self, LabError> {
        let failed = |error: std::io::Error| LabError::File { file: folder.to_path_buf(), what: error.to_string() };
        let refused = |what: String| LabError::File { file: folder.to_path_buf(), what };
        check_apart(template, folder)?;
        let plan = RunPlan::open(recipe, open_data)?;
        let run = RunIdentity::new(&plan.recipe, template, from_scratch, plan.samples())?;
        std::fs::create_dir_all(folder).map_err(failed)?;
        let lock = lock(&folder.join(LOCK)).map_err(failed)?;
        let lock = lock.ok_or_else(|| refused("another process trains here".to_string()))?;
        let checkpoint = Checkpoint::read(&folder.join(CHECKPOINT))?;
        if let Some(found) = &checkpoint {
            check_same_run(&run, found, plan.steps(), folder)?;
        }
        let origin = Origin { template: template.clone(), from_scratch, seed: plan.recipe.seed };
        let saved = checkpoint.as_ref().map(|found| found.progress.step);
        let (learned, moments, progress) = match checkpoint {
            Some(found) => (found.weights, found.moments, found.progress),
            None => (origin.begin()?, BTreeMap::new(), TrainProgress::default()),
        };
        // Weights and moments are those of the stage of the last step; the next step may begin another.
        let stage = plan.stage_of(progress.step.saturating_sub(1));
        let mut active = StageModel::open(&origin, (stage, &plan.recipe.stages[stage]), &learned, None)?;
        plan.check_settings(&**active.model.processor())?;
        let heads = ProbeHeads::new(active.model.processor().info().hidden, Some(&learned), plan.recipe.seed)?;
        active.turn_to((stage, &plan.recipe.stages[stage]), &heads);
        let recipe = toml::to_string_pretty(&plan.recipe).map_err(|error| LabError::Caller(error.to_string()))?;
        let metrics = Metrics::open(folder, progress.step as u64, &RunRecord { steps: plan.steps() as u64, recipe })?;
        let mut trainer = Trainer {
            plan,
            origin,
            active,
            heads,
            learned,
            moments,
            progress,
            folder: folder.to_path_buf(),
            run,
            metrics,
            saved,
            _lock: lock,
            opened: Instant::now(),
            earlier_seconds: progress.seconds,
        };
        trainer.forget_older();
        Ok(trainer)
    }

    /// What the run trains on, and how.
    pub fn recipe(&self) -> &Recipe {
        &self.plan.recipe
    }

    /// Steps of the whole run.
    pub fn steps(&self) -> usize {
        self.plan.steps()
    }

    /// Where the run is.
    pub fn progress(&self) -> TrainProgress {
        self.progress
    }

    /// Trains until the recipe ends or `on_step` breaks. Every `save_every` steps, and at the end of every stage,
    /// writes a checkpoint; every `save_every` steps also exports the model, so that it can be evaluated during the
    /// run.
    ///
    /// # Errors
    /// When the loss diverges, when a step fails, and when a checkpoint cannot be written.
    pub fn run(&mut self, on_step: &mut dyn FnMut(&StepReport) -> ControlFlow<()>) -> Result<(), LabError> {
        while self.progress.step < self.plan.steps() {
            let began = Instant::now();
            let mut report = self.step()?;
            self.metrics.step(&self.step_metrics(&report, began.elapsed().as_secs_f64()))?;
            self.evaluate_when_due(&mut report)?;
            if let Some(loss) = report.held_out {
                let (step, samples) =
                    (self.progress.step as u64, self.stage().eval.as_ref().map_or(0, |eval| eval.samples));
                let scores = BTreeMap::from([("loss".to_string(), loss)]);
                self.metrics.eval(&EvalMetrics { step, set: report.stage.clone(), items: samples as u64, scores })?;
            }
            let save = self.progress.step.is_multiple_of(self.plan.recipe.save_every);
            if save {
                report.export_error = self.export().err();
            }
            let stop = on_step(&report).is_break();
            let ends = self.plan.stages.iter().any(|stage| stage.first_step + stage.steps == self.progress.step);
            if stop || save || ends {
                self.save_checkpoint()?;
            }
            if stop {
                break;
            }
        }
        self.metrics.report().map(|_| ())
    }

    /// What the metrics keep of a step that took `seconds`.
    fn step_metrics(&self, report: &StepReport, seconds: f64) -> StepMetrics {
        let norm = |(group, norm): (&ParameterGroup, &f32)| (group.name().to_string(), f64::from(*norm));
        let lr = |group: &ParameterGroup| (group.name().to_string(), report.lr * self.stage().lr_share(*group));
        StepMetrics {
            step: report.progress.step as u64,
            stage: report.stage.clone(),
            loss: report.loss,
            loss_by_kind: report.sources.iter().cloned().collect(),
            lr: report.group_norms.keys().map(lr).collect(),
            gradient_norm: f64::from(report.norm),
            gradient_norm_by_group: report.group_norms.iter().map(norm).collect(),
            samples: self.stage().batch as u64,
            tokens: report.tokens as u64,
            tokens_per_second: report.tokens as f64 / seconds,
            seconds,
            memory: process_memory::now().unwrap_or(0),
        }
    }

    /// One optimizer step on the next samples.
    ///
    /// # Errors
    /// [`LabError::Diverged`] when loss or gradient is not finite, or the loss grows; the weights are unchanged then.
    pub fn step(&mut self) -> Result<StepReport, LabError> {
        let step = self.progress.step;
        let index = self.plan.stage_of(step);
        if index != self.active.stage {
            self.enter(index)?;
        }
        let (stage, planned) = (&self.plan.recipe.stages[index], &self.plan.stages[index]);
        let draws = planned.draws(self.progress.samples, stage.batch);
        let sum = self.work(&planned.mixture).step(&draws)?;
        let (first, lr) = (step == planned.first_step, self.plan.lr_at(step));
        let moment_step = step - planned.schedule_first + 1;
        let mut report = self.report(index, &sum, lr);
        if sum.count > 0.0 {
            report.loss = sum.loss / sum.count;
            self.check_loss(report.loss, first)?;
            let (trained, divisor) = (&self.active.trained, sum.count as f32);
            let optimizer = self.active.optimizer;
            let norms = optimizer.step(trained, &sum.gradients, &mut self.moments, divisor, lr as f32, moment_step)?;
            if !norms.global.is_finite() {
                return Err(self.diverged(format!("the gradient became {}", norms.global)));
            }
            (report.norm, report.group_norms) = (norms.global, norms.groups);
            self.progress.loss = if first { report.loss } else { mean(self.progress.loss, report.loss) };
        }
        self.count(step, index, &sum)?;
        report.progress = self.progress;
        report.bad = sum.bad;
        Ok(report)
    }

    /// Writes everything that continuing the run needs.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn save_checkpoint(&mut self) -> Result<(), LabError> {
        self.metrics.sync()?;
        let (weights, moments) = (self.weights(), self.moments.clone());
        let checkpoint = Checkpoint { weights, moments, progress: self.progress, run: Some(self.run.clone()) };
        checkpoint.write(&self.folder.join(CHECKPOINT), self.plan.recipe.keep_last)?;
        self.saved = Some(self.progress.step);
        Ok(())
    }

    /// Writes what was learned: the adapter where there is one, else the model, without the probe heads, as f32. Gives
    /// its folder.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn export(&self) -> Result<PathBuf, LabError> {
        let name = if self.active.adapters(self.stage()).is_empty() { EXPORTED } else { ADAPTER };
        self.export_to(&self.folder.join(name))
    }

    /// Writes the whole model, adapters merged into it, as f32; gives its folder.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn export_merged(&self) -> Result<PathBuf, LabError> {
        let folder = self.folder.join(EXPORTED);
        let adapters = self.active.adapters(self.stage());
        write_merged(&self.origin.template, &folder, &adapters, self.weights())?;
        Ok(folder)
    }

    fn export_to(&self, folder: &Path) -> Result<PathBuf, LabError> {
        let adapters = self.active.adapters(self.stage());
        write_learned(&self.origin.template, folder, &adapters, self.weights())?;
        Ok(folder.to_path_buf())
    }

    fn stage(&self) -> &Stage {
        &self.plan.recipe.stages[self.active.stage]
    }

    /// Everything that was learned so far, by name.
    fn weights(&self) -> HashMap<String, Tensor> {
        let mut all = self.learned.clone();
        let trained = self.active.trained.iter();
        all.extend(trained.map(|(name, trained)| (name.clone(), trained.variable.as_detached_tensor())));
        all
    }

    /// Drops older values of what is learned now.
    fn forget_older(&mut self) {
        let trained = &self.active.trained;
        self.learned.retain(|name, _| !trained.contains_key(name));
    }

    /// Begins stage `next` with what was learned so far.
    fn enter(&mut self, next: usize) -> Result<(), LabError> {
        let (stage, to) = (self.stage(), &self.plan.recipe.stages[next]);
        if stage.same_model(to) {
            let before = self.weights();
            self.active.turn_to((next, to), &self.heads);
            // What this stage does not learn keeps the values that the one before has left.
            self.learned = before;
        } else {
            self.learned = self.active.hand_over(&self.origin, &self.learned, (stage, to))?;
            self.active = StageModel::open(&self.origin, (next, to), &self.learned, Some(&self.heads))?;
        }
        if !to.continues {
            self.moments.clear();
        }
        self.forget_older();
        Ok(())
    }

    fn work<'a>(&'a self, mixture: &'a Mixture) -> PackWork<'a> {
        PackWork {
            model: self.active.model.as_ref(),
            heads: &self.heads,
            trained: &self.active.trained,
            stage: self.stage(),
            options: &self.active.options,
            mixture,
        }
    }

    fn report(&self, index: usize, sum: &Accumulated, lr: f64) -> StepReport {
        let mixture = &self.plan.stages[index].mixture;
        let sources = sum.entries.iter().filter(|(_, (_, targets))| *targets > 0);
        StepReport {
            stage: self.plan.recipe.stages[index].name.clone(),
            progress: self.progress,
            loss: self.progress.loss,
            norm: 0.0,
            group_norms: BTreeMap::new(),
            lr,
            tokens: sum.tokens,
            sources: sources
                .map(|(entry, (nats, targets))| (mixture.name(*entry).to_string(), nats / *targets as f64))
                .collect(),
            bad: Vec::new(),
            held_out: None,
            export_error: None,
        }
    }

    /// Counts a finished step of stage `index`.
    fn count(&mut self, step: usize, index: usize, sum: &Accumulated) -> Result<(), LabError> {
        let progress = &mut self.progress;
        progress.step += 1;
        progress.samples += self.plan.recipe.stages[index].batch as u64;
        progress.bad += sum.bad.len() as u64;
        progress.too_long += sum.too_long;
        progress.seconds = self.earlier_seconds + self.opened.elapsed().as_secs_f64();
        let stage_step = step - self.plan.stages[index].first_step;
        if stage_step == 0 {
            progress.lowest = None;
        } else if stage_step >= SETTLED {
            progress.lowest = Some(progress.lowest.map_or(progress.loss, |lowest| lowest.min(progress.loss)));
        }
        let (bad, seen, most) = (progress.bad, progress.samples, self.plan.recipe.max_bad);
        match sum.bad.last() {
            Some(last) if bad as f64 > most * seen.max(JUDGED) as f64 => {
                Err(LabError::BadData { bad, seen, most, example: last.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Ends the run when the loss of a step is no number, or the running mean has left its lowest value far behind.
    fn check_loss(&self, loss: f64, first: bool) -> Result<(), LabError> {
        if !loss.is_finite() {
            return Err(self.diverged(format!("the loss became {loss}")));
        }
        let now = mean(self.progress.loss, loss);
        match self.progress.lowest {
            Some(lowest) if !first && now > 2.0 * lowest + 1.0 => {
                Err(self.diverged(format!("the mean loss grew from {lowest:.4} to {now:.4}")))
            }
            _ => Ok(()),
        }
    }

    fn diverged(&self, what: String) -> LabError {
        let last = self.saved.map(|step| (step, self.folder.join(CHECKPOINT)));
        LabError::Diverged { step: self.progress.step, what, last }
    }

    /// After the steps that the stage says: the loss of its held-out samples, and the model with the lowest one kept.
    fn evaluate_when_due(&mut self, report: &mut StepReport) -> Result<(), LabError> {
        let planned = &self.plan.stages[self.active.stage];
        let (Some(eval), Some(mixture)) = (&self.stage().eval, &planned.held_out) else { return Ok(()) };
        let step = self.progress.step - planned.first_step;
        if !step.is_multiple_of(eval.every) && step != planned.steps {
            return Ok(());
        }
        let draws = mixture.first(eval.samples);
        let sum = self.work(mixture).losses(&draws)?;
        report.bad.extend(sum.bad);
        if sum.count == 0.0 {
            return Ok(());
        }
        let loss = sum.loss / sum.count;
        report.held_out = Some(loss);
        if self.progress.best.is_none_or(|best| loss < best) {
            self.progress.best = Some(loss);
            if self.plan.recipe.keep_best {
                report.export_error = self.export_to(&self.folder.join(BEST)).err();
            }
        }
        report.progress = self.progress;
        Ok(())
    }
}

/// The running mean of a loss.
fn mean(before: f64, loss: f64) -> f64 {
    0.98 * before + 0.02 * loss
}
