//! `zoetrope train RECIPE --model FOLDER --out DIR`: trains on drawn scenes; goes on where a checkpoint stopped.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use candle_core::{DType, Device};
use zoetrope_lab::train::{self, Checkpoint, Moments, Progress, Recipe, Report, TokenHeads, TrainError};
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::families;
use zoetrope_models::parts::weights::Weights;

use crate::cli::{Common, TrainArgs};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output;

/// Steps between two lines of the log.
const SAY_EVERY: usize = 10;

/// Trains until the recipe ends, `--until` is reached or Ctrl-C is pressed; then exports the model.
pub(crate) fn run(args: &TrainArgs, common: &Common) -> Result<(), Failure> {
    let recipe = Recipe::read(&args.recipe)?;
    library_on_one_thread()?;
    std::fs::create_dir_all(&args.out).map_err(|error| Failure::file(&args.out, &error))?;
    let folder = args.out.join("checkpoint");
    let Start { model, weights, heads, state } = start(args, &folder, recipe.seed)?;
    let variables = weights.variables();
    let interrupt = Interrupt::install();
    let flag = interrupt.flag();
    let until = args.until.unwrap_or(usize::MAX);
    let mut lately = Vec::with_capacity(SAY_EVERY);
    let exported = args.out.join("model");
    let mut told = |report: &Report<'_>| {
        lately.push(report.loss);
        if report.progress.step.is_multiple_of(SAY_EVERY) && !common.quiet {
            output::note(&line(report, recipe.steps(), lately.iter().sum::<f64>() / lately.len() as f64));
            lately.clear();
        }
        // A model beside every checkpoint, so that `eval` can watch a run.
        if report.progress.step.is_multiple_of(recipe.save_every)
            && let Err(error) = train::export(&args.model, &exported, &variables, DType::F32)
        {
            output::note(&format!("the model of step {} was not written: {error}", report.progress.step));
        }
        let stop = flag.is_cancelled() || report.progress.step >= until;
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let progress =
        interrupt.while_busy(|| train::run(model.as_ref(), &heads, &variables, &recipe, state, &folder, &mut told))?;
    train::export(&args.model, &exported, &variables, DType::F32)?;
    if common.json {
        let done = serde_json::json!({ "steps": progress.step, "loss": progress.loss, "model": exported });
        return output::json(&done);
    }
    let text =
        format!("{} of {} steps, loss {:.4}\n{}\n", progress.step, recipe.steps(), progress.loss, exported.display());
    Ok(output::text(&text)?)
}

/// The tensor library reads the sizes of its own pools from these, once.
const LIBRARY_THREADS: [&str; 2] = ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"];

/// Packs run side by side on our pool. The library's own pools would make every operation wait for the other pack's
/// (twelve times slower, docs/LOG.md), so the command starts itself again with those of one thread, unless the
/// variables are set.
fn library_on_one_thread() -> Result<(), Failure> {
    if LIBRARY_THREADS.iter().any(|name| std::env::var_os(name).is_none()) {
        let program = std::env::current_exe().map_err(|error| Failure::new(error.to_string()))?;
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1)).envs(LIBRARY_THREADS.map(|name| (name, "1")));
        return Err(replaced_by(command));
    }
    Ok(())
}

/// Replaces this process by `command`; comes back only when that fails.
#[cfg(unix)]
fn replaced_by(mut command: Command) -> Failure {
    Failure::new(format!("could not start again: {}", std::os::unix::process::CommandExt::exec(&mut command)))
}

/// Runs `command` in this process's place and ends as it ends.
#[cfg(not(unix))]
fn replaced_by(mut command: Command) -> Failure {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => Failure::new(format!("could not start again: {error}")),
    }
}

/// What a run begins with.
struct Start {
    model: Box<dyn VideoLanguageModel>,
    weights: Weights,
    heads: TokenHeads,
    state: (BTreeMap<String, Moments>, Progress),
}

/// The model to go on with: that of the checkpoint, else that of the model's folder, or random weights when asked for.
fn start(args: &TrainArgs, checkpoint: &Path, seed: u64) -> Result<Start, Failure> {
    let found = Checkpoint::read(checkpoint)?;
    let (model, weights) = match &found {
        Some(found) => over(args, Weights::trainable(found.weights.clone(), &Device::Cpu))?,
        None if args.from_scratch => over(args, Weights::random(seed, &Device::Cpu))?,
        None => families::open_to_train(&args.model, &Device::Cpu)?,
    };
    let heads = TokenHeads::new(model.info().hidden, found.as_ref().map(|found| &found.weights), seed)?;
    let state = found.map(|found| (found.moments, found.progress)).unwrap_or_default();
    Ok(Start { model, weights, heads, state })
}

fn over(args: &TrainArgs, weights: Weights) -> Result<(Box<dyn VideoLanguageModel>, Weights), Failure> {
    Ok((families::over(&args.model, weights.clone())?, weights))
}

fn line(report: &Report<'_>, steps: usize, loss: f64) -> String {
    let Report { stage, progress, norm, rate, .. } = report;
    let step = progress.step;
    format!(
        "{stage}: step {step} of {steps}, loss {loss:.4}, gradient {norm:.2}, rate {rate:.2e}, {:.0} s",
        progress.seconds
    )
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Model(error) => error.into(),
            other => Failure::new(other.to_string()),
        }
    }
}
