//! What a run writes of itself: every step, measurements on the way, example answers at checkpoints.

use std::collections::BTreeMap;

use zoetrope_models::weights::ParameterGroup;
use zoetrope_system::process_memory;

use super::answers::answer;
use super::averages;
use super::run::Trainer;
use super::step_report::StepReport;
use crate::error::LabError;
use crate::train::objective::Rewards;
use crate::train::recipe::MixEntry;
use crate::train::report::{EvalMetrics, Example, StepMetrics};

/// Held-out samples that are answered at every checkpoint.
const EXAMPLES: usize = 4;

impl Trainer {
    /// Writes a step that took `seconds`, and the measurement after it.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub(super) fn write_metrics(&mut self, report: &StepReport, seconds: f64) -> Result<(), LabError> {
        let norm = |(group, norm): (&ParameterGroup, &f32)| (group.name().to_string(), f64::from(*norm));
        let lr = |group: &ParameterGroup| (group.name().to_string(), report.lr * self.stage().lr_share(*group));
        let step = report.progress.step as u64;
        let metrics = StepMetrics {
            step,
            stage: report.stage.clone(),
            loss: report.loss,
            loss_by_kind: report.sources.iter().cloned().collect(),
            lr: report.group_norms.keys().map(lr).collect(),
            gradient_norm: f64::from(report.norm),
            gradient_norm_by_group: report.group_norms.iter().map(norm).collect(),
            samples: self.stage().batch as u64,
            tokens: report.tokens as u64,
            tokens_per_second: report.tokens as f64 / seconds,
            seconds,
            waited: report.waited,
            memory: process_memory::now().unwrap_or(0),
            rewards: named(report.rewards, ""),
        };
        self.log(|log| log.step(&metrics))?;
        let (Some(found), Some(eval)) = (report.held_out, &self.stage().eval) else { return Ok(()) };
        // Stages that are measured on one set have one curve.
        let names: Vec<String> = eval.data.iter().map(name_of).collect();
        let (set, items) = (names.join(" and "), found.samples as u64);
        let mut scores = named(found.rewards, "reward ");
        scores.insert("loss".to_string(), found.loss);
        self.log(|log| log.eval(&EvalMetrics { step, set, items, scores }))
    }

    /// Answers the first held-out samples of the stage, where there are any. One that cannot be used is passed over.
    ///
    /// # Errors
    /// [`LabError::File`], and when the model refuses.
    pub(super) fn write_examples(&mut self) -> Result<(), LabError> {
        let planned = &self.plan.stages[self.active.stage];
        let Some(mixture) = &planned.held_out else { return Ok(()) };
        let samples = mixture.first(EXAMPLES).into_iter().filter_map(|draw| mixture.sample(&draw).ok());
        let samples: Vec<_> = samples.collect();
        let (model, options) = (self.active.model.as_ref(), &self.active.options);
        let answered = averages::with(&self.active.trained, &self.averages, || {
            Ok(samples.iter().filter_map(|sample| answer(model, sample, options).ok().flatten()).collect::<Vec<_>>())
        })?;
        let step = self.progress.step as u64;
        for own in &answered {
            let frames: Vec<_> = own.frames.iter().map(|(image, time)| (image, *time)).collect();
            let expected = Some(own.expected.as_str());
            let example = Example { step, question: &own.question, expected, answer: &own.answer, frames: &frames };
            self.log(|log| log.example(&example))?;
        }
        Ok(())
    }
}

/// Rewards by their names behind `prefix`.
fn named(rewards: Option<Rewards>, prefix: &str) -> BTreeMap<String, f64> {
    let named = rewards.map(|rewards| rewards.named()).into_iter().flatten();
    named.map(|(name, value)| (format!("{prefix}{name}"), value)).collect()
}

/// What reports call an entry of held-out data.
fn name_of(entry: &MixEntry) -> String {
    let file = entry.data.as_ref().and_then(|file| file.file_name()).map(|name| name.to_string_lossy().into_owned());
    file.or_else(|| entry.drawn.as_ref().map(|drawn| format!("drawn {drawn}"))).unwrap_or_default()
}
