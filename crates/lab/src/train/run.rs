//! The loop: draw, see, embed, step, loss, gradients, update, checkpoint.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use candle_core::Var;
use rayon::prelude::*;
use zoetrope_models::contract::{PlanOptions, VideoLanguageModel};

use super::batch::{Batch, lesson};
use super::optimizer::Gradients;
use super::tokens::TokenHeads;
use super::{Checkpoint, Moments, Progress, Recipe, TrainError};
use crate::draw::Dice;
use crate::sample::Sample;

/// What the loop tells after every step.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// Name of the stage.
    pub stage: &'a str,
    /// Where the run is.
    pub progress: Progress,
    /// Loss of this step, nats a target token.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub norm: f32,
    /// Learning rate.
    pub rate: f64,
}

/// Trains `model`, whose weights are `variables`, and `heads` until the recipe ends or `told` says stop; writes a
/// checkpoint to `folder` every `save_every` steps and at the end. `state` is what the last checkpoint held.
pub fn run(
    model: &dyn VideoLanguageModel,
    heads: &TokenHeads,
    variables: &BTreeMap<String, Var>,
    recipe: &Recipe,
    state: (BTreeMap<String, Moments>, Progress),
    folder: &Path,
    told: &mut dyn FnMut(&Report<'_>) -> ControlFlow<()>,
) -> Result<Progress, TrainError> {
    let (mut moments, mut progress) = state;
    let mut variables = variables.clone();
    variables.extend(heads.variables());
    let variables = &variables;
    let optimizer = recipe.optimizer();
    let clock = Instant::now();
    let before = progress.seconds;
    while progress.step < recipe.steps() {
        let step = progress.step;
        let (gradients, total, targets) = gradients(model, heads, variables, recipe, step)?;
        let mean = total / targets as f64;
        if !mean.is_finite() {
            return Err(TrainError::Diverged { step, loss: mean });
        }
        let rate = recipe.rate_at(step);
        let norm = optimizer.step(variables, &gradients, &mut moments, targets as f32, rate as f32, step + 1)?;
        progress.step += 1;
        progress.samples += recipe.batch as u64;
        progress.loss = if step == 0 { mean } else { 0.98 * progress.loss + 0.02 * mean };
        progress.seconds = before + clock.elapsed().as_secs_f64();
        let report = Report { stage: &recipe.stage(step).name, progress, loss: mean, norm, rate };
        let stop = told(&report).is_break();
        if stop || progress.step.is_multiple_of(recipe.save_every) || progress.step == recipe.steps() {
            Checkpoint::write(folder, variables, &moments, &progress)?;
        }
        if stop {
            break;
        }
    }
    Ok(progress)
}

/// Gradients of the summed loss of one step's samples, that sum, and the number of targets. Rows of packed samples are
/// independent, so they run on as many threads as the pool has.
fn gradients(
    model: &dyn VideoLanguageModel,
    heads: &TokenHeads,
    variables: &BTreeMap<String, Var>,
    recipe: &Recipe,
    step: usize,
) -> Result<(Gradients, f64, usize), TrainError> {
    let numbers: Vec<u64> = (0..recipe.batch).map(|i| (step * recipe.batch + i) as u64).collect();
    let packs: Vec<_> =
        numbers.par_chunks(recipe.pack).map(|pack| one_pack(model, heads, variables, recipe, step, pack)).collect();
    let mut sum: Option<(Gradients, f64, usize)> = None;
    for pack in packs {
        let (gradients, loss, targets) = pack?;
        match &mut sum {
            None => sum = Some((gradients, loss, targets)),
            Some((all, total, count)) => {
                for (name, values) in gradients {
                    add(all, name, values);
                }
                *total += loss;
                *count += targets;
            }
        }
    }
    sum.ok_or_else(|| TrainError::Caller("an empty batch".to_string()))
}

fn add(all: &mut Gradients, name: String, values: Vec<f32>) {
    match all.get_mut(&name) {
        Some(sum) => sum.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value),
        None => {
            all.insert(name, values);
        }
    }
}

fn one_pack(
    model: &dyn VideoLanguageModel,
    heads: &TokenHeads,
    variables: &BTreeMap<String, Var>,
    recipe: &Recipe,
    step: usize,
    numbers: &[u64],
) -> Result<(Gradients, f64, usize), TrainError> {
    let stage = recipe.stage(step);
    let draw = |number: &u64| {
        let difficulty = stage.pick(f64::from(Dice::new("train/material", *number).unit()))?;
        Ok(Sample::drawn(recipe.seed.wrapping_add(*number), &difficulty, stage.turns))
    };
    let samples = numbers.iter().map(draw).collect::<Result<Vec<_>, TrainError>>()?;
    let options = PlanOptions { prune: Some(stage.prune), ..PlanOptions::default() };
    let batch = Batch::new(model, &samples, &options)?;
    let lesson = lesson(model, heads, &batch, stage.tokens)?;
    let store = lesson.loss.backward()?;
    let mut gradients = Gradients::new();
    for (name, variable) in variables {
        if let Some(gradient) = store.get(variable) {
            gradients.insert(name.clone(), gradient.flatten_all()?.to_vec1::<f32>()?);
        }
    }
    Ok((gradients, f64::from(lesson.loss.to_scalar::<f32>()?), lesson.targets))
}
