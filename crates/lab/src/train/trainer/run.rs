//! The training loop: samples, forward, loss, gradients, update, checkpoint.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use candle_core::Tensor;
use zoetrope_engine::Store;
use zoetrope_models::checkpoint::Checkpoint as ModelCheckpoint;

use super::averages;
use super::gradients::PackWork;
use super::place::{CHECKPOINT, FEATURES, check_apart, check_same_run, take};
use super::plan::RunPlan;
use super::stage::{Origin, StageModel};
use super::step_report::StepReport;
use crate::data::{self, Feed, FrozenFeatures, KeptMedia, SampleLoader};
use crate::error::LabError;
use crate::train::checkpoint::{Checkpoint, RunIdentity, TrainProgress};
use crate::train::mixture::{Loading, Mixture, OpenData};
use crate::train::objective::{OnReference, ReferenceLogProbs};
use crate::train::optimizer::{Averages, Moments};
use crate::train::probe_heads::ProbeHeads;
use crate::train::processes::{Alone, Collectives, ProcessGroup, check_packs, check_same};
use crate::train::recipe::{Recipe, Stage};
use crate::train::report::{Metrics, RunRecord};

/// A training run: the model with its probe heads, the optimizer's state and the folder that keeps both.
pub struct Trainer {
    pub(super) plan: RunPlan,
    pub(super) origin: Origin,
    pub(super) active: StageModel,
    pub(super) heads: ProbeHeads,
    /// What earlier stages have learned and this one does not.
    pub(super) learned: HashMap<String, Tensor>,
    /// Of the parameters that this process updates.
    pub(super) moments: BTreeMap<String, Moments>,
    /// Running averages of what is learned, where the stage asks for them.
    pub(super) averages: Averages,
    /// Number of a stage that learns preferences, and what its reference says, where that is stored.
    pub(super) reference: Option<(usize, ReferenceLogProbs)>,
    pub(super) progress: TrainProgress,
    /// Samples of the stage that are loaded ahead; none before its next step.
    pub(super) feed: Option<Feed<Loading>>,
    /// What loads the samples of the stage.
    pub(super) loader: Arc<SampleLoader>,
    /// Decoded media and features in memory, of all stages.
    pub(super) kept: Arc<KeptMedia>,
    /// Features of frozen encoders on disk, where that is asked for.
    pub(super) store: Option<Arc<Store>>,
    pub(super) folder: PathBuf,
    pub(super) run: RunIdentity,
    /// In the first process alone, which writes.
    metrics: Option<Metrics>,
    /// The step of the checkpoint on disk.
    pub(super) saved: Option<usize>,
    /// Held while the run is open, so that no two processes train in one folder.
    _lock: Option<File>,
    pub(super) processes: ProcessGroup,
    pub(super) opened: Instant,
    /// Seconds of training before the run was opened.
    pub(super) earlier_seconds: f64,
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

    /// As [`Trainer::open`], as one of several processes of the run. The first one alone writes. A caller that gets an
    /// error, of this or of a later call, must [tell the others](Collectives::fail).
    ///
    /// # Errors
    /// As [`Trainer::open`]; when a step has fewer packs than there are processes; when the processes do not do the
    /// same run, and when another one has failed.
    pub fn open_among(
        processes: Arc<dyn Collectives>,
        template: &ModelCheckpoint,
        folder: &Path,
        recipe: Recipe,
        from_scratch: bool,
    ) -> Result<Self, LabError> {
        Self::open_each(processes, template, folder, recipe, from_scratch, &data::open)
    }

    /// As [`Trainer::open`], with data files opened by `open_data`.
    ///
    /// # Errors
    /// As [`Trainer::open`].
    pub(in crate::train) fn open_with(
        template: &ModelCheckpoint,
        folder: &Path,
        recipe: Recipe,
        from_scratch: bool,
        open_data: &OpenData<'_>,
    ) -> Result<Self, LabError> {
        Self::open_each(Arc::new(Alone), template, folder, recipe, from_scratch, open_data)
    }

    /// As [`Trainer::open_among`], with data files opened by `open_data`.
    ///
    /// # Errors
    /// As [`Trainer::open_among`].
    pub(in crate::train) fn open_each(
        processes: Arc<dyn Collectives>,
        template: &ModelCheckpoint,
        folder: &Path,
        recipe: Recipe,
        from_scratch: bool,
        open_data: &OpenData<'_>,
    ) -> Result<Self, LabError> {
        check_apart(template, folder)?;
        check_packs(&recipe, &*processes)?;
        let plan = RunPlan::open(recipe, open_data)?;
        let run = RunIdentity::new(&plan.recipe, template, from_scratch, plan.samples())?;
        let (lock, checkpoint) = take(folder, &*processes)?;
        if let Some(found) = &checkpoint {
            check_same_run(&run, found, plan.steps(), folder)?;
        }
        let origin = Origin { template: template.clone(), from_scratch, seed: plan.recipe.seed };
        let saved = checkpoint.as_ref().map(|found| found.progress.step);
        let found = match checkpoint {
            Some(found) => found,
            None => Checkpoint { weights: origin.begin()?, ..Checkpoint::default() },
        };
        let Checkpoint { weights: learned, mut moments, averages, progress, .. } = found;
        check_same(&*processes, &run, &progress)?;
        // Weights and moments are those of the stage of the last step; the next step may begin another.
        let stage = plan.stage_of(progress.step.saturating_sub(1));
        let mut active = StageModel::open(&origin, (stage, &plan.recipe.stages[stage]), &learned, None)?;
        plan.check_settings(&**active.model.processor())?;
        let heads = ProbeHeads::new(active.model.processor().info().hidden, Some(&learned), plan.recipe.seed)?;
        active.turn_to((stage, &plan.recipe.stages[stage]), &heads);
        let mut processes = ProcessGroup::new(processes);
        processes.share(&active.trained, &mut moments);
        let recipe = toml::to_string_pretty(&plan.recipe).map_err(|error| LabError::Caller(error.to_string()))?;
        let record = RunRecord { steps: plan.steps() as u64, recipe };
        let metrics = processes.is_first().then(|| Metrics::open(folder, progress.step as u64, &record)).transpose()?;
        let options = &plan.recipe.loader;
        let store = FrozenFeatures::open_store(&folder.join(FEATURES), options.disk_bytes())
            .map_err(|error| LabError::File { file: folder.to_path_buf(), what: error.to_string() })?;
        let kept = Arc::new(KeptMedia::new(options.kept_bytes()));
        let loader = Arc::new(SampleLoader::new(active.model.processor(), active.options.clone()));
        let mut trainer = Trainer {
            plan,
            origin,
            active,
            heads,
            learned,
            moments,
            averages,
            reference: None,
            progress,
            feed: None,
            loader,
            kept,
            store,
            folder: folder.to_path_buf(),
            run,
            metrics,
            saved,
            _lock: lock,
            processes,
            opened: Instant::now(),
            earlier_seconds: progress.seconds,
        };
        trainer.forget_older();
        trainer.renew_loader()?;
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
    /// When the loss diverges, when a step fails, and when a checkpoint cannot be written; in any process.
    pub fn run(&mut self, on_step: &mut dyn FnMut(&StepReport) -> ControlFlow<()>) -> Result<(), LabError> {
        self.run_watched(on_step, &mut |_| ControlFlow::Continue(()))
    }

    /// As [`Trainer::run`]. `on_reference` is told of the pass of the reference before a stage that learns preferences,
    /// where it has one, and may end the run there; the next run goes on with the pass.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub fn run_watched(
        &mut self,
        on_step: &mut dyn FnMut(&StepReport) -> ControlFlow<()>,
        on_reference: &mut OnReference<'_>,
    ) -> Result<(), LabError> {
        let is_first = self.processes.is_first();
        while self.progress.step < self.plan.steps() {
            if self.begin_stage(on_reference)?.is_break() {
                break;
            }
            let began = Instant::now();
            let mut report = self.step()?;
            let seconds = began.elapsed().as_secs_f64();
            self.evaluate_when_due(&mut report)?;
            self.write_metrics(&report, seconds)?;
            let save = self.progress.step.is_multiple_of(self.plan.recipe.save_every);
            if save && is_first {
                report.export_error = self.export().err();
            }
            let stop = self.processes.any(on_step(&report).is_break())?;
            let ends = self.plan.stages.iter().any(|stage| stage.first_step + stage.steps == self.progress.step);
            if (save || ends) && is_first {
                self.write_examples()?;
            }
            if stop || save || ends {
                self.save_checkpoint()?;
                self.log(|log| log.report().map(drop))?;
            }
            if stop {
                break;
            }
        }
        Ok(())
    }

    /// One optimizer step on the next samples.
    ///
    /// # Errors
    /// [`LabError::Diverged`] when loss or gradient is not finite, or the loss grows; the weights are unchanged then.
    pub fn step(&mut self) -> Result<StepReport, LabError> {
        let step = self.progress.step;
        let index = self.plan.stage_of(step);
        let _ = self.begin_stage(&mut |_| ControlFlow::Continue(()))?;
        self.begin_feed(index)?;
        let (stage, planned) = (&self.plan.recipe.stages[index], &self.plan.stages[index]);
        let draws = planned.draws(self.progress.samples, stage.batch);
        let work = PackWork { feed: self.feed.as_ref(), ..self.work(&planned.mixture) };
        let sum = work.learn(self.processes.own_packs(&draws, stage.pack))?;
        let mut sum = self.processes.total(sum, &self.active.trained)?;
        let (first, lr) = (step == planned.first_step, self.plan.lr_at(step));
        let moment_step = step - planned.schedule_first + 1;
        let mut report = self.report(index, &sum, lr);
        if sum.count > 0.0 {
            report.loss = sum.loss / sum.count;
            self.check_loss(report.loss, first)?;
            let gradients = std::mem::take(&mut sum.gradients);
            let (optimizer, trained) = (&self.active.optimizer, &self.active.trained);
            let rates = (sum.count as f32, lr as f32);
            let norms = self.processes.update(optimizer, trained, gradients, &mut self.moments, rates, moment_step)?;
            if !norms.global.is_finite() {
                return Err(self.diverged(format!("the gradient became {}", norms.global)));
            }
            (report.norm, report.group_norms) = (norms.global, norms.groups);
            if let Some(decay) = stage.ema {
                averages::update(&mut self.averages, trained, decay as f32)?;
            }
            self.follow_loss(report.loss, first);
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
        self.log(|log| log.sync())?;
        let moments = self.processes.all_moments(&self.moments)?;
        if self.processes.is_first() {
            let (averages, run) = (self.averages.clone(), Some(self.run.clone()));
            let checkpoint = Checkpoint { weights: self.weights(), moments, averages, progress: self.progress, run };
            checkpoint.write(&self.folder.join(CHECKPOINT), self.plan.recipe.keep_last)?;
        }
        self.saved = Some(self.progress.step);
        Ok(())
    }

    /// Writes to the metrics, which the first process has.
    pub(super) fn log(&mut self, write: impl FnOnce(&mut Metrics) -> Result<(), LabError>) -> Result<(), LabError> {
        self.metrics.as_mut().map_or(Ok(()), write)
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.plan.recipe.stages[self.active.stage]
    }

    /// Everything that was learned so far, by name.
    pub(super) fn weights(&self) -> HashMap<String, Tensor> {
        let mut all = self.learned.clone();
        let trained = self.active.trained.iter();
        all.extend(trained.map(|(name, trained)| (name.clone(), trained.variable.as_detached_tensor())));
        all
    }

    /// Drops older values of what is learned now.
    pub(super) fn forget_older(&mut self) {
        let trained = &self.active.trained;
        self.learned.retain(|name, _| !trained.contains_key(name));
    }

    pub(super) fn work<'a>(&'a self, mixture: &'a Mixture) -> PackWork<'a> {
        PackWork {
            model: self.active.model.as_ref(),
            aligner: self.active.aligner.as_deref(),
            seed: self.plan.recipe.seed,
            heads: &self.heads,
            trained: &self.active.trained,
            stage: self.stage(),
            options: &self.active.options,
            mixture,
            reference: self.reference_of(|found| &found.learned),
            loader: &self.loader,
            feed: None,
        }
    }
}
