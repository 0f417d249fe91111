//! A run as reports need it: series by name, read from its `metrics.jsonl`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::record::{EvalMetrics, ExampleRecord, Record, RunRecord, StepMetrics};
use super::{frames, jsonl};
use crate::error::LabError;

/// Values at steps.
pub(super) type Points = Vec<(f64, f64)>;

/// All that is known of a run.
#[derive(Default)]
pub(super) struct RunLog {
    pub(super) name: String,
    pub(super) run: RunRecord,
    /// Folder of the frames that examples name.
    pub(super) frames: PathBuf,
    /// Step before the first one of each stage, and the stage's name.
    pub(super) stages: Vec<(f64, String)>,
    pub(super) loss: Points,
    pub(super) loss_by_kind: BTreeMap<String, Points>,
    pub(super) lr: BTreeMap<String, Points>,
    pub(super) gradient_norm: Points,
    pub(super) gradient_norm_by_group: BTreeMap<String, Points>,
    pub(super) tokens_per_second: Points,
    pub(super) memory: Points,
    /// Mean rewards of pairs by name, and the share of pairs whose chosen answer has more.
    pub(super) rewards: BTreeMap<String, Points>,
    pub(super) reward_accuracy: Points,
    /// Percent of the step that it waited for data.
    pub(super) waited: Points,
    /// Finished steps, and what they took in all.
    pub(super) step: u64,
    pub(super) samples: u64,
    pub(super) tokens: u64,
    pub(super) seconds: f64,
    pub(super) evals: Vec<EvalMetrics>,
    pub(super) examples: Vec<ExampleRecord>,
}

impl RunLog {
    /// The run in `folder`.
    ///
    /// # Errors
    /// [`LabError::File`] when there are no metrics, and with the line that is damaged.
    pub(super) fn read(folder: &Path) -> Result<Self, LabError> {
        let path = folder.join(jsonl::FILE);
        let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let name = whole.file_name().map_or("run".to_string(), |name| name.to_string_lossy().into_owned());
        let mut log = RunLog { name, frames: folder.join(frames::FOLDER), ..RunLog::default() };
        jsonl::scan(&path, &mut |record, _| {
            log.add(record);
            true
        })?;
        if log.loss.is_empty() && log.evals.is_empty() {
            let what = if path.exists() { "no step of a training run in it" } else { "no such file" };
            return Err(LabError::File { file: path, what: what.to_string() });
        }
        Ok(log)
    }

    fn add(&mut self, record: Record) {
        match record {
            Record::Run(run) => self.run = run,
            Record::Step(step) => self.add_step(step),
            Record::Eval(eval) => {
                // A run that was stopped between a checkpoint and its end measures again.
                self.evals.retain(|other| (other.step, &other.set) != (eval.step, &eval.set));
                self.evals.push(eval);
            }
            Record::Example(example) => {
                let key = |of: &ExampleRecord| (of.step, of.question.clone(), of.frames.clone());
                let own = key(&example);
                self.examples.retain(|other| other.step != own.0 || key(other) != own);
                self.examples.push(example);
            }
            Record::Unknown => {}
        }
    }

    fn add_step(&mut self, step: StepMetrics) {
        let x = step.step as f64;
        if self.stages.last().is_none_or(|(_, name)| *name != step.stage) {
            self.stages.push((x - 1.0, step.stage));
        }
        self.loss.push((x, step.loss));
        self.gradient_norm.push((x, step.gradient_norm));
        let mut rewards = step.rewards;
        self.reward_accuracy.extend(rewards.remove("accuracy").map(|share| (x, share)));
        let named = [
            (&mut self.rewards, rewards),
            (&mut self.loss_by_kind, step.loss_by_kind),
            (&mut self.lr, step.lr),
            (&mut self.gradient_norm_by_group, step.gradient_norm_by_group),
        ];
        for (all, values) in named {
            for (name, value) in values {
                all.entry(name).or_default().push((x, value));
            }
        }
        if step.tokens_per_second > 0.0 {
            self.tokens_per_second.push((x, step.tokens_per_second));
        }
        if step.memory > 0 {
            self.memory.push((x, step.memory as f64 / 1e9));
        }
        if step.waited > 0.0 && step.seconds > 0.0 {
            self.waited.push((x, 100.0 * step.waited / step.seconds));
        }
        self.step = self.step.max(step.step);
        self.samples += step.samples;
        self.tokens += step.tokens;
        self.seconds += step.seconds;
    }
}

/// Runs of folders with one name are told apart by a number.
pub(super) fn with_distinct_names(mut runs: Vec<RunLog>) -> Vec<RunLog> {
    let mut seen = BTreeMap::<String, usize>::new();
    for run in &mut runs {
        let count = seen.entry(run.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            run.name = format!("{} ({count})", run.name);
        }
    }
    runs
}
