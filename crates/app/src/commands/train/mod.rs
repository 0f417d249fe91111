//! `zoetrope train RECIPE --model FOLDER --out DIR`: trains on drawn scenes and data files; continues from a
//! checkpoint.

mod dry_run;
mod duration;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use zoetrope_lab::train::processes::{self, Collectives, Launch};
use zoetrope_lab::train::{self, Recipe, StepReport, Trainer};

use self::duration::duration;
use crate::cli::{Common, TrainArgs};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model;
use crate::output;
use crate::progress::Bars;

/// Steps between two lines of the log.
const LOG_EVERY: usize = 10;
/// Bad samples of a step that are named; the others are counted.
const NAMED: usize = 3;

/// Prepares the process for training, which may be one of several. Must run before anything starts a thread.
pub(crate) fn prepare_process() -> Result<Launch, Failure> {
    if !train::limit_library_threads() {
        output::note("training will be slow; set CANDLE_NUM_THREADS=1 and RAYON_NUM_THREADS=1 to speed it up");
    }
    Ok(processes::launch()?)
}

/// Trains until the recipe ends, `--until` is reached, or Ctrl-C or SIGTERM comes to any of the `processes`; then
/// exports what was learned. The first process alone speaks, but for errors, which name theirs.
pub(crate) fn run(args: &TrainArgs, common: &Common, processes: &Arc<dyn Collectives>) -> Result<(), Failure> {
    if processes.is_first() {
        return train(args, common, processes);
    }
    let quiet = Common { quiet: true, ..common.clone() };
    let (rank, size) = (processes.rank(), processes.size());
    train(args, &quiet, processes).map_err(|failure| failure.after(&format!("process {rank} of {size}: ")))
}

fn train(args: &TrainArgs, common: &Common, processes: &Arc<dyn Collectives>) -> Result<(), Failure> {
    let recipe = Recipe::read(&args.recipe)?;
    let mut bars = Bars::new(common);
    let template = model::checkpoint(args.base.under(Some(&args.model)), &mut bars)?;
    let Some(out) = args.out.as_ref().filter(|_| !args.dry_run) else {
        return dry_run::run(processes.clone(), &template, recipe, args.from_scratch, common);
    };
    let mut trainer = Trainer::open_among(processes.clone(), &template, out, recipe, args.from_scratch)?;
    let interrupt = Interrupt::install();
    let flag = interrupt.flag();
    let until = args.until.unwrap_or(usize::MAX);
    let mut log = Log::new(common, &trainer, bars);
    let mut on_step = |report: &StepReport| {
        if processes.is_first() {
            log.step(report);
        }
        let stop = flag.is_cancelled() || report.progress.step >= until;
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    interrupt.while_busy(|| trainer.run(&mut on_step))?;
    log.bars.clear();
    if !processes.is_first() {
        return Ok(());
    }
    let loss = log.loss().unwrap_or(trainer.progress().loss);
    finish(args, common, &trainer, loss)
}

/// Writes what was learned, and says where, and the `loss` that was reached.
fn finish(args: &TrainArgs, common: &Common, trainer: &Trainer, loss: f64) -> Result<(), Failure> {
    let (progress, steps) = (trainer.progress(), trainer.steps());
    let mut written: Vec<PathBuf> = vec![trainer.export()?];
    if args.merge {
        written.push(trainer.export_merged()?);
        written.dedup();
    }
    let written: Vec<String> = written.iter().map(|folder| folder.display().to_string()).collect();
    if common.json {
        let done = serde_json::json!({
            "steps": progress.step,
            "loss": loss,
            "held_out": progress.best,
            "bad": progress.bad,
            "too_long": progress.too_long,
            "model": written.last(),
            "written": written,
        });
        return output::json(&done);
    }
    let text = format!("{} of {steps} steps, loss {loss:.4}\n{}\n", progress.step, written.join("\n"));
    Ok(output::text(&text)?)
}

/// What is said during a run.
struct Log {
    quiet: bool,
    bars: Bars,
    steps: usize,
    /// Steps before this process.
    first: usize,
    begun: Instant,
    /// Of the last [`LOG_EVERY`] steps.
    losses: VecDeque<f64>,
    tokens: usize,
}

impl Log {
    fn new(common: &Common, trainer: &Trainer, bars: Bars) -> Self {
        let first = trainer.progress().step;
        let (steps, losses) = (trainer.steps(), VecDeque::with_capacity(LOG_EVERY));
        Log { quiet: common.quiet, bars, steps, first, begun: Instant::now(), losses, tokens: 0 }
    }

    fn step(&mut self, report: &StepReport) {
        if self.losses.len() == LOG_EVERY {
            self.losses.pop_front();
        }
        self.losses.push_back(report.loss);
        self.tokens += report.tokens;
        let step = report.progress.step;
        self.bars.count("train", "steps", step, self.steps);
        for bad in report.bad.iter().take(NAMED) {
            self.bars.say(&format!("skipped: {bad}"));
        }
        if report.bad.len() > NAMED {
            self.bars.say(&format!("skipped: {} more of step {step}", report.bad.len() - NAMED));
        }
        if let Some(loss) = self.loss().filter(|_| step.is_multiple_of(LOG_EVERY) && !self.quiet) {
            self.bars.say(&self.line(report, loss));
        }
        if let Some(held_out) = &report.held_out {
            self.bars.say(&format!("{}: step {step}, held-out loss {:.4}", report.stage, held_out.loss));
        }
        if let Some(error) = &report.export_error {
            self.bars.say(&format!("the model of step {step} was not written: {error}"));
        }
    }

    /// Mean loss of the last steps.
    fn loss(&self) -> Option<f64> {
        (!self.losses.is_empty()).then(|| self.losses.iter().sum::<f64>() / self.losses.len() as f64)
    }

    fn line(&self, report: &StepReport, loss: f64) -> String {
        let StepReport { stage, progress, norm, lr, .. } = report;
        let (step, steps) = (progress.step, self.steps);
        let here = self.begun.elapsed().as_secs_f64();
        let a_step = here / (step - self.first).max(1) as f64;
        let (rate, left) = (self.tokens as f64 / here.max(1e-9), duration(a_step * (steps - step) as f64));
        format!(
            "{stage}: step {step} of {steps}, loss {loss:.4}, gradient norm {norm:.2}, learning rate {lr:.2e}, \
             {rate:.0} tokens/s, {} so far, {left} left",
            duration(progress.seconds)
        )
    }
}
