//! `zoetrope train RECIPE --model FOLDER --out DIR`: trains on drawn scenes; goes on where a checkpoint stopped.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{DType, Device};
use zoetrope_lab::train::{self, Checkpoint, Moments, Progress, Recipe, Report, TrainError};
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
    std::fs::create_dir_all(&args.out).map_err(|error| Failure::file(&args.out, &error))?;
    let folder = args.out.join("checkpoint");
    let (weights, state) = start(&folder, recipe.seed)?;
    let model = families::over(&args.model, weights.clone())?;
    let variables = weights.variables();
    let interrupt = Interrupt::install();
    let flag = interrupt.flag();
    let until = args.until.unwrap_or(usize::MAX);
    let mut lately = Vec::with_capacity(SAY_EVERY);
    let mut told = |report: &Report<'_>| {
        lately.push(report.loss);
        if report.progress.step.is_multiple_of(SAY_EVERY) && !common.quiet {
            output::note(&line(report, recipe.steps(), lately.iter().sum::<f64>() / lately.len() as f64));
            lately.clear();
        }
        let stop = flag.is_cancelled() || report.progress.step >= until;
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let progress =
        interrupt.while_busy(|| train::run(model.as_ref(), &variables, &recipe, state, &folder, &mut told))?;
    let exported = args.out.join("model");
    train::export(&args.model, &exported, &variables, DType::F32)?;
    if common.json {
        let done = serde_json::json!({ "steps": progress.step, "loss": progress.loss, "model": exported });
        return output::json(&done);
    }
    let text =
        format!("{} of {} steps, loss {:.4}\n{}\n", progress.step, recipe.steps(), progress.loss, exported.display());
    Ok(output::text(&text)?)
}

/// Moments of every variable and how far a run is.
type State = (BTreeMap<String, Moments>, Progress);

/// Weights to go on from: those of the checkpoint, else random ones.
fn start(folder: &Path, seed: u64) -> Result<(Weights, State), Failure> {
    Ok(match Checkpoint::read(folder)? {
        Some(found) => (Weights::trainable(found.weights, &Device::Cpu), (found.moments, found.progress)),
        None => (Weights::random(seed, &Device::Cpu), State::default()),
    })
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
