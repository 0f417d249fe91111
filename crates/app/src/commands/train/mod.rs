//! `zoetrope train RECIPE --model FOLDER --out DIR`: trains on drawn scenes and data files; continues from a
//! checkpoint.

mod dry_run;
mod duration;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use zoetrope_lab::train::processes::{self, Collectives, Launch};
use zoetrope_lab::train::{self, Recipe, ReferenceProgress, Rewards, StepReport, Trainer};

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
    let log = RefCell::new(Log::new(common, &trainer, bars));
    let mut on_step = |report: &StepReport| {
        if processes.is_first() {
            log.borrow_mut().step(report);
        }
        let stop = flag.is_cancelled() || report.progress.step >= until;
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut on_reference = |progress: &ReferenceProgress| {
        log.borrow_mut().reference(progress);
        if flag.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    interrupt.while_busy(|| trainer.run_watched(&mut on_step, &mut on_reference))?;
    let mut log = log.into_inner();
    log.bars.clear();
    if !processes.is_first() {
        return Ok(());
    }
    if trainer.progress().step == 0 && flag.is_cancelled() {
        output::note("stopped before the first step; the same command goes on with what the reference has found");
        return Err(Failure::Interrupted);
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
    /// When something was said of the run for the last time.
    last: Instant,
    /// Of the last [`LOG_EVERY`] steps.
    losses: VecDeque<f64>,
    tokens: usize,
    /// Whether it was said that only chosen answers are learned.
    told_chosen_only: bool,
    /// Seconds that steps waited for samples.
    waited: f64,
}

impl Log {
    fn new(common: &Common, trainer: &Trainer, bars: Bars) -> Self {
        let first = trainer.progress().step;
        let (steps, losses) = (trainer.steps(), VecDeque::with_capacity(LOG_EVERY));
        let (quiet, begun) = (common.quiet, Instant::now());
        Log { quiet, bars, steps, first, begun, last: begun, losses, tokens: 0, waited: 0.0, told_chosen_only: false }
    }

    /// The pass of the reference before a stage that learns preferences.
    fn reference(&mut self, progress: &ReferenceProgress) {
        self.bars.count("reference", "pairs", progress.done, progress.pairs);
        if progress.done == progress.pairs {
            self.bars.clear();
        }
        if progress.done == progress.pairs && !self.quiet {
            let ReferenceProgress { stage, pairs, .. } = progress;
            self.bars.say(&format!("{stage}: the reference has the log-probabilities of {pairs} pairs"));
        }
        // Speed and time left are those of steps.
        let now = Instant::now();
        self.begun += now - self.last;
        self.last = now;
    }

    fn step(&mut self, report: &StepReport) {
        if self.losses.len() == LOG_EVERY {
            self.losses.pop_front();
        }
        self.losses.push_back(report.loss);
        self.last = Instant::now();
        self.tokens += report.tokens;
        self.waited += report.waited;
        let step = report.progress.step;
        self.bars.count("train", "steps", step, self.steps);
        for bad in report.bad.iter().take(NAMED) {
            self.bars.say(&format!("skipped: {bad}"));
        }
        if report.bad.len() > NAMED {
            self.bars.say(&format!("skipped: {} more of step {step}", report.bad.len() - NAMED));
        }
        if report.chosen_only > 0 && !self.told_chosen_only {
            self.told_chosen_only = true;
            let what = "pairs of preferences: only their chosen answers are learned";
            self.bars.say(&format!("{}: {what}; objective = {{ kind = \"dpo\" }} learns both", report.stage));
        }
        if let Some(loss) = self.loss().filter(|_| step.is_multiple_of(LOG_EVERY) && !self.quiet) {
            self.bars.say(&self.line(report, loss));
        }
        if let Some(held_out) = &report.held_out {
            let rewards = shown(held_out.rewards);
            self.bars.say(&format!("{}: step {step}, held-out loss {:.4}{rewards}", report.stage, held_out.loss));
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
            "{stage}: step {step} of {steps}, loss {loss:.4}{}, gradient norm {norm:.2}, learning rate {lr:.2e}, \
             {rate:.0} tokens/s, {:.0}% of the time waiting for data, {} so far, {left} left",
            shown(report.rewards),
            100.0 * self.waited / here.max(1e-9),
            duration(progress.seconds)
        )
    }
}

/// Rewards of pairs, in words after a loss.
fn shown(rewards: Option<Rewards>) -> String {
    rewards.map_or(String::new(), |Rewards { chosen, rejected, margin, accuracy }| {
        format!(", rewards chosen {chosen:.3} rejected {rejected:.3} margin {margin:.3} accuracy {accuracy:.2}")
    })
}
