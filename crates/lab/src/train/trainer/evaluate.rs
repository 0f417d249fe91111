//! Evaluation on the way.

use super::averages;
use super::gradients::PackWork;
use super::place::BEST;
use super::run::Trainer;
use super::step_report::{HeldOutLoss, StepReport};
use crate::error::LabError;

impl Trainer {
    /// After the steps that the stage says: the loss of its held-out samples, and the model with the lowest one kept.
    pub(super) fn evaluate_when_due(&mut self, report: &mut StepReport) -> Result<(), LabError> {
        let planned = &self.plan.stages[self.active.stage];
        let (Some(eval), Some(mixture)) = (&self.stage().eval, &planned.held_out) else { return Ok(()) };
        let step = self.progress.step - planned.first_step;
        if !step.is_multiple_of(eval.every) && step != planned.steps {
            return Ok(());
        }
        let draws = mixture.first(eval.samples);
        let work = PackWork { reference: self.reference_of(|found| &found.held_out), ..self.work(mixture) };
        let own = self.processes.own_packs(&draws, self.stage().pack);
        let sum = averages::with(&self.active.trained, &self.averages, || work.measure(own))?;
        let sum = self.processes.total(sum, &self.active.trained)?;
        let samples = draws.len() - sum.bad.len() - sum.too_long as usize;
        let rewards = sum.rewards.mean();
        report.bad.extend(sum.bad);
        if sum.count == 0.0 {
            return Ok(());
        }
        let loss = sum.loss / sum.count;
        report.held_out = Some(HeldOutLoss { loss, samples, rewards });
        if self.progress.best.is_none_or(|best| loss < best) {
            self.progress.best = Some(loss);
            if self.plan.recipe.keep_best && self.processes.is_first() {
                report.export_error = self.export_to(&self.folder.join(BEST)).err();
            }
        }
        report.progress = self.progress;
        Ok(())
    }
}
