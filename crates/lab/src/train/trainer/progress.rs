//! How far a run is, and when it must not go on.

use std::collections::BTreeMap;

use super::gradients::Accumulated;
use super::place::CHECKPOINT;
use super::run::Trainer;
use super::step_report::StepReport;
use crate::data::BadLimit;
use crate::error::LabError;

/// Steps of a stage before its loss may be said to grow.
const SETTLED: usize = 20;
/// Samples before the share of bad ones is judged: one of a handful says nothing.
const JUDGED: u64 = 100;

impl Trainer {
    /// The report of a step of stage `index` before its update.
    pub(super) fn report(&self, index: usize, sum: &Accumulated, lr: f64) -> StepReport {
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
            waited: sum.waited,
            sources: sources
                .map(|(entry, (nats, targets))| (mixture.name(*entry).to_string(), nats / *targets as f64))
                .collect(),
            rewards: sum.rewards.mean(),
            chosen_only: sum.chosen_only,
            bad: Vec::new(),
            held_out: None,
            export_error: None,
        }
    }

    /// Counts a finished step of stage `index`.
    pub(super) fn count(&mut self, step: usize, index: usize, sum: &Accumulated) -> Result<(), LabError> {
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
            Some(last) if BadLimit::Share(most).is_exceeded(bad, seen.max(JUDGED)) => {
                Err(LabError::BadData { bad, seen, most, example: last.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Ends the run when the loss of a step is no number, or the running mean has left its lowest value far behind.
    pub(super) fn check_loss(&self, loss: f64, first: bool) -> Result<(), LabError> {
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

    /// Keeps the running mean of the loss, which begins anew with the `first` step of a stage.
    pub(super) fn follow_loss(&mut self, loss: f64, first: bool) {
        self.progress.loss = if first { loss } else { mean(self.progress.loss, loss) };
    }

    pub(super) fn diverged(&self, what: String) -> LabError {
        let last = self.saved.map(|step| (step, self.folder.join(CHECKPOINT)));
        LabError::Diverged { step: self.progress.step, what, last }
    }
}

/// The running mean of a loss.
fn mean(before: f64, loss: f64) -> f64 {
    0.98 * before + 0.02 * loss
}
