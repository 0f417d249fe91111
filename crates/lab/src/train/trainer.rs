//! The training loop: samples, forward, loss, gradients, update, checkpoint.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Var};
use rayon::prelude::*;
use zoetrope_models::checkpoint::Checkpoint as ModelCheckpoint;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::media_plan::PlanOptions;
use zoetrope_models::loading;
use zoetrope_models::weights::{Archive, LoadOptions, RandomFor};
use zoetrope_system::files::{is_same, lock};

use super::checkpoint::{Checkpoint, TrainProgress};
use super::export::export;
use super::optimizer::{Gradients, Moments, Optimizer, Trained};
use super::pack::{Pack, compute_loss};
use super::probe_heads::ProbeHeads;
use super::recipe::Recipe;
use super::run_identity::RunIdentity;
use crate::error::LabError;
use crate::sample::Sample;
use crate::synth::SynthRng;

/// One optimizer step.
#[derive(Debug)]
pub struct StepReport {
    /// Name of the stage.
    pub stage: String,
    /// Where the run is after the step.
    pub progress: TrainProgress,
    /// Mean loss of the step in nats per target token.
    pub loss: f64,
    /// Global norm of the gradient before clipping.
    pub norm: f32,
    /// Learning rate.
    pub lr: f64,
    /// Why the model of this step could not be exported; the run goes on without it.
    pub export_error: Option<LabError>,
}

/// A training run: the model with its probe heads, the optimizer's state and the folder that keeps both.
pub struct Trainer {
    model: Arc<dyn VideoLanguageModel>,
    heads: ProbeHeads,
    recipe: Recipe,
    optimizer: Optimizer,
    /// What is exported: the model's variables by name.
    model_variables: BTreeMap<String, Var>,
    /// What is trained: the variables of the model and of the heads by name, with their roles.
    trained: BTreeMap<String, Trained>,
    moments: BTreeMap<String, Moments>,
    progress: TrainProgress,
    template: ModelCheckpoint,
    folder: PathBuf,
    run: RunIdentity,
    /// Held while the run is open, so that no two processes train in one folder.
    _lock: File,
    opened: Instant,
    /// Seconds of training before the run was opened.
    earlier_seconds: f64,
}

/// Summed gradients and loss of some samples.
struct Accumulated {
    gradients: Gradients,
    /// Sum of the losses in nats.
    loss: f64,
    /// Number of targets behind `loss`.
    targets: usize,
}

impl Trainer {
    /// The run in `folder`, continued from its checkpoint. Without one, a new run starts from the weights in the model
    /// folder `template`, or from random weights if `from_scratch`. Configuration and tokenizer are the template's.
    ///
    /// # Errors
    /// When a file is missing or wrong; when `folder` holds another run, or one that has ended and a new one is asked
    /// for; when another process trains in it; when `template` lies where the run writes.
    pub fn open(template: &Path, folder: &Path, recipe: Recipe, from_scratch: bool) -> Result<Self, LabError> {
        let failed = |error: std::io::Error| LabError::File { file: folder.to_path_buf(), what: error.to_string() };
        let refused = |what: String| LabError::File { file: folder.to_path_buf(), what };
        if [folder, &folder.join(EXPORTED), &folder.join(CHECKPOINT)].into_iter().any(|own| is_same(template, own)) {
            let what = "the model that is read lies where the run writes; name another folder for the run";
            return Err(refused(what.to_string()));
        }
        let template = ModelCheckpoint::from(template);
        let run = RunIdentity::new(&recipe, &template, from_scratch)?;
        std::fs::create_dir_all(folder).map_err(failed)?;
        let lock = lock(&folder.join(LOCK)).map_err(failed)?;
        let lock = lock.ok_or_else(|| refused("another process trains here".to_string()))?;
        let checkpoint = Checkpoint::read(&folder.join(CHECKPOINT))?;
        if let Some(found) = &checkpoint {
            check_same_run(&run, found, &recipe, folder)?;
        }
        let over = |archive| loading::open_with(&template, vec![archive], LoadOptions::training());
        let model = match &checkpoint {
            Some(checkpoint) => over(Archive::memory(checkpoint.weights.clone()))?,
            None if from_scratch => over(Archive::random(recipe.seed, RandomFor::Everything))?,
            None => loading::open(&template, LoadOptions::training())?,
        };
        let saved = checkpoint.as_ref().map(|checkpoint| &checkpoint.weights);
        let heads = ProbeHeads::new(model.processor().info().hidden, saved, recipe.seed)?;
        let model_variables = model.weights().variables();
        let mut trained = Trained::all(model.weights());
        trained.extend(Trained::all(heads.weights()));
        let (moments, progress) = checkpoint.map(|found| (found.moments, found.progress)).unwrap_or_default();
        Ok(Trainer {
            model,
            heads,
            optimizer: recipe.optimizer(),
            recipe,
            model_variables,
            trained,
            moments,
            progress,
            template,
            folder: folder.to_path_buf(),
            run,
            _lock: lock,
            opened: Instant::now(),
            earlier_seconds: progress.seconds,
        })
    }

    /// What the run trains on, and how.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Where the run is.
    pub fn progress(&self) -> TrainProgress {
        self.progress
    }

    /// Trains until the recipe ends or `on_step` breaks. Every `save_every` steps, and at the end, writes a checkpoint;
    /// every `save_every` steps also exports the model, so that it can be evaluated during the run.
    ///
    /// # Errors
    /// When the loss diverges, when a step fails, and when a checkpoint cannot be written.
    pub fn run(&mut self, on_step: &mut dyn FnMut(&StepReport) -> ControlFlow<()>) -> Result<(), LabError> {
        while self.progress.step < self.recipe.steps() {
            let mut report = self.step()?;
            let save = self.progress.step.is_multiple_of(self.recipe.save_every);
            if save {
                report.export_error = self.export().err();
            }
            let stop = on_step(&report).is_break();
            if stop || save || self.progress.step == self.recipe.steps() {
                self.save_checkpoint()?;
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
    /// [`LabError::Diverged`] when the loss is not finite; the weights are unchanged then.
    pub fn step(&mut self) -> Result<StepReport, LabError> {
        let step = self.progress.step;
        let Accumulated { gradients, loss, targets } = self.step_gradients(step)?;
        let loss = loss / targets as f64;
        if !loss.is_finite() {
            return Err(LabError::Diverged { step, loss });
        }
        let lr = self.recipe.lr_at(step);
        let divisor = targets as f32;
        let norm = self.optimizer.step(&self.trained, &gradients, &mut self.moments, divisor, lr as f32, step + 1)?;
        self.progress.step += 1;
        self.progress.samples += self.recipe.batch as u64;
        self.progress.loss = if step == 0 { loss } else { 0.98 * self.progress.loss + 0.02 * loss };
        self.progress.seconds = self.earlier_seconds + self.opened.elapsed().as_secs_f64();
        let stage = self.recipe.stage(step).name.clone();
        Ok(StepReport { stage, progress: self.progress, loss, norm, lr, export_error: None })
    }

    /// Writes everything that continuing the run needs.
    pub fn save_checkpoint(&self) -> Result<(), LabError> {
        Checkpoint::write(&self.folder.join(CHECKPOINT), &self.run, &self.trained, &self.moments, &self.progress)
    }

    /// Writes the model, without the probe heads, as f32; gives its folder.
    pub fn export(&self) -> Result<PathBuf, LabError> {
        let folder = self.folder.join(EXPORTED);
        export(&self.template, &folder, &self.model_variables, DType::F32)?;
        Ok(folder)
    }

    /// Gradients of the samples of one step. Packs are independent, so they run on as many threads as the pool has.
    fn step_gradients(&self, step: usize) -> Result<Accumulated, LabError> {
        let batch = self.recipe.batch;
        let numbers: Vec<u64> = (0..batch).map(|i| (step * batch + i) as u64).collect();
        let packs: Vec<_> =
            numbers.par_chunks(self.recipe.pack).map(|numbers| self.pack_gradients(step, numbers)).collect();
        let mut sum: Option<Accumulated> = None;
        for pack in packs {
            let pack = pack?;
            match &mut sum {
                None => sum = Some(pack),
                Some(sum) => sum.add(pack),
            }
        }
        sum.ok_or_else(|| LabError::Caller("an empty batch".to_string()))
    }

    fn pack_gradients(&self, step: usize, numbers: &[u64]) -> Result<Accumulated, LabError> {
        let stage = self.recipe.stage(step);
        let sample = |number: &u64| {
            let difficulty = stage.difficulty_at(f64::from(SynthRng::new("train/material", *number).unit_f32()))?;
            Ok(Sample::synthetic(self.recipe.seed.wrapping_add(*number), &difficulty, stage.turns))
        };
        let samples = numbers.iter().map(sample).collect::<Result<Vec<_>, LabError>>()?;
        let options = PlanOptions { settings: stage.settings(), ..PlanOptions::default() };
        let pack = Pack::new(self.model.as_ref(), &samples, &options)?;
        let sum = compute_loss(self.model.as_ref(), &self.heads, &pack, stage.token_loss_weight)?;
        let store = sum.loss.backward()?;
        let mut gradients = Gradients::new();
        for (name, trained) in &self.trained {
            if let Some(gradient) = store.get(&trained.variable) {
                gradients.insert(name.clone(), gradient.flatten_all()?.to_vec1::<f32>()?);
            }
        }
        Ok(Accumulated { gradients, loss: f64::from(sum.loss.to_scalar::<f32>()?), targets: sum.targets })
    }
}

/// Folders inside the folder of a run.
const CHECKPOINT: &str = "checkpoint";
const EXPORTED: &str = "model";
const LOCK: &str = ".lock";

/// Refuses a checkpoint of another run, and a run that has ended when a new one is asked for.
fn check_same_run(run: &RunIdentity, found: &Checkpoint, recipe: &Recipe, folder: &Path) -> Result<(), LabError> {
    let step = found.progress.step;
    let differs = match &found.run {
        Some(other) => run.difference(other),
        None => None,
    };
    let ended = step >= recipe.steps() && run.is_from_scratch();
    let why = match differs {
        Some(differs) => format!("holds another training of {step} steps: {differs}"),
        None if ended => format!("holds this training, ended after {step} steps"),
        None => return Ok(()),
    };
    let what = format!("{why}; name another folder for the run, or remove this one");
    Err(LabError::File { file: folder.to_path_buf(), what })
}

impl Accumulated {
    fn add(&mut self, other: Accumulated) {
        for (name, values) in other.gradients {
            match self.gradients.get_mut(&name) {
                Some(sum) => sum.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value),
                None => {
                    self.gradients.insert(name, values);
                }
            }
        }
        self.loss += other.loss;
        self.targets += other.targets;
    }
}
