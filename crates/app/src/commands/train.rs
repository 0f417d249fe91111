//! `zoetrope train RECIPE --model FOLDER --out DIR`: trains on synthetic scenes; continues from a checkpoint.

use std::ops::ControlFlow;

use zoetrope_lab::train::{self, Recipe, StepReport, Trainer};

use crate::cli::{Common, TrainArgs};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output;

/// Steps between two lines of the log.
const LOG_EVERY: usize = 10;

/// Prepares the process for training. Must run before anything starts a thread.
pub(crate) fn prepare_process() {
    if !train::limit_library_threads() {
        output::note("training will be slow; set CANDLE_NUM_THREADS=1 and RAYON_NUM_THREADS=1 to speed it up");
    }
}

/// Trains until the recipe ends, `--until` is reached or Ctrl-C is pressed; then exports the model.
pub(crate) fn run(args: &TrainArgs, common: &Common) -> Result<(), Failure> {
    let recipe = Recipe::read(&args.recipe)?;
    let steps = recipe.steps();
    let mut trainer = Trainer::open(&args.model, &args.out, recipe, args.from_scratch)?;
    let interrupt = Interrupt::install();
    let flag = interrupt.flag();
    let until = args.until.unwrap_or(usize::MAX);
    let mut losses = Vec::with_capacity(LOG_EVERY);
    let mut on_step = |report: &StepReport| {
        losses.push(report.loss);
        let step = report.progress.step;
        if step.is_multiple_of(LOG_EVERY) && !common.quiet {
            output::note(&line(report, steps, losses.iter().sum::<f64>() / losses.len() as f64));
            losses.clear();
        }
        if let Some(error) = &report.export_error {
            output::note(&format!("the model of step {step} was not written: {error}"));
        }
        let stop = flag.is_cancelled() || step >= until;
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    interrupt.while_busy(|| trainer.run(&mut on_step))?;
    let (progress, exported) = (trainer.progress(), trainer.export()?);
    if common.json {
        let model = exported.display().to_string();
        let done = serde_json::json!({ "steps": progress.step, "loss": progress.loss, "model": model });
        return output::json(&done);
    }
    let text = format!("{} of {steps} steps, loss {:.4}\n{}\n", progress.step, progress.loss, exported.display());
    Ok(output::text(&text)?)
}

fn line(report: &StepReport, steps: usize, loss: f64) -> String {
    let StepReport { stage, progress, norm, lr, .. } = report;
    let step = progress.step;
    format!(
        "{stage}: step {step} of {steps}, loss {loss:.4}, gradient norm {norm:.2}, learning rate {lr:.2e}, {:.0} s",
        progress.seconds
    )
}
