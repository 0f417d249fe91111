//! A recipe with its data files opened: which stage a step belongs to, and what it learns from.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use zoetrope_models::contract::Processor;

use crate::error::LabError;
use crate::synth::Split;
use crate::train::mixture::{Draw, Mixture, OpenData};
use crate::train::optimizer::LrSchedule;
use crate::train::recipe::{Recipe, Stage};

/// Most steps that an epoch count may amount to.
const MAX_STEPS: f64 = (1u64 << 32) as f64;

/// The first draw of each row of `draws`.
fn rows_of(draws: impl Iterator<Item = Draw>) -> Vec<Draw> {
    let mut seen = BTreeSet::new();
    draws.filter(|draw| seen.insert(draw.row())).collect()
}

/// A run from its first to its last step.
pub(in crate::train) struct RunPlan {
    pub(in crate::train) recipe: Recipe,
    pub(in crate::train) stages: Vec<PlannedStage>,
}

/// A stage of a run.
pub(in crate::train) struct PlannedStage {
    /// Steps before it.
    pub(in crate::train) first_step: usize,
    pub(in crate::train) steps: usize,
    /// Samples before it.
    pub(in crate::train) first_sample: u64,
    /// Steps before the first of the stages that share its schedule and moments.
    pub(in crate::train) schedule_first: usize,
    pub(in crate::train) schedule: LrSchedule,
    pub(in crate::train) mixture: Arc<Mixture>,
    pub(in crate::train) held_out: Option<Mixture>,
}

impl PlannedStage {
    /// `count` samples from sample `number` of the run on.
    pub(in crate::train) fn draws(&self, number: u64, count: usize) -> Vec<Draw> {
        self.mixture.draws(self.first_sample, number - self.first_sample, count)
    }

    /// A draw of each row that its steps of `batch` samples show.
    pub(in crate::train) fn rows(&self, batch: usize) -> Vec<Draw> {
        let first = (0..self.steps as u64).map(|step| self.first_sample + step * batch as u64);
        rows_of(first.flat_map(|first| self.draws(first, batch)))
    }

    /// A draw of each held-out row that is measured.
    pub(in crate::train) fn held_out_rows(&self, stage: &Stage) -> Vec<Draw> {
        let held_out = self.held_out.as_ref().zip(stage.eval.as_ref());
        rows_of(held_out.map_or(Vec::new(), |(mixture, eval)| mixture.first(eval.samples)).into_iter())
    }
}

impl RunPlan {
    /// Opens the data files of all stages.
    ///
    /// # Errors
    /// When one cannot be read or is empty, and when the epochs of a stage are no number of steps.
    pub(in crate::train) fn open(recipe: Recipe, open: &OpenData<'_>) -> Result<Self, LabError> {
        let (mut stages, mut first_step, mut first_sample) = (Vec::new(), 0, 0);
        for stage in &recipe.stages {
            let planned = plan_stage(&recipe, stage, (first_step, first_sample), open)?;
            first_step += planned.steps;
            first_sample += planned.steps as u64 * stage.batch as u64;
            stages.push(planned);
        }
        let mut plan = RunPlan { recipe, stages };
        plan.share_schedules();
        Ok(plan)
    }

    /// Stages that continue each other have one schedule over the steps of all of them.
    fn share_schedules(&mut self) {
        let mut begin = 0;
        while begin < self.stages.len() {
            let continuing = self.recipe.stages[begin + 1..].iter().take_while(|stage| stage.continues).count();
            let chain = begin..begin + 1 + continuing;
            let steps = self.stages[chain.clone()].iter().map(|stage| stage.steps).sum();
            let first = self.stages[begin].first_step;
            for index in chain.clone() {
                self.stages[index].schedule = LrSchedule::new(&self.recipe.stages[index].schedule, steps);
                self.stages[index].schedule_first = first;
            }
            begin = chain.end;
        }
    }

    /// Refuses settings that the family does not have.
    ///
    /// # Errors
    /// By the name of the setting.
    pub(in crate::train) fn check_settings(&self, processor: &dyn Processor) -> Result<(), LabError> {
        for stage in &self.recipe.stages {
            let wrong = |what: String| LabError::Caller(format!("stage {:?}: {what}", stage.name));
            processor.plan(&[], &[], &stage.plan_options()).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(())
    }

    /// Steps of all stages.
    pub(in crate::train) fn steps(&self) -> usize {
        self.stages.iter().map(|stage| stage.steps).sum()
    }

    /// The stage of a step (from 0); the last one after the end.
    pub(in crate::train) fn stage_of(&self, step: usize) -> usize {
        let after = self.stages.partition_point(|stage| stage.first_step + stage.steps <= step);
        after.min(self.stages.len() - 1)
    }

    /// Learning rate of a step (from 0).
    pub(in crate::train) fn lr_at(&self, step: usize) -> f64 {
        let stage = self.stage_of(step);
        let planned = &self.stages[stage];
        planned.schedule.lr_at(self.recipe.stages[stage].optimizer.lr, step - planned.schedule_first)
    }

    /// Samples of each data file, in the order in which the recipe names them.
    pub(in crate::train) fn samples(&self) -> Vec<u64> {
        let mixtures = self.stages.iter().flat_map(|stage| [Some(&*stage.mixture), stage.held_out.as_ref()]);
        mixtures.flatten().flat_map(Mixture::samples).collect()
    }
}

fn plan_stage(
    recipe: &Recipe,
    stage: &Stage,
    (first_step, first_sample): (usize, u64),
    open: &OpenData<'_>,
) -> Result<PlannedStage, LabError> {
    let folder: &Path = &recipe.folder;
    let mixture = Mixture::open(&stage.data, (recipe.seed, stage.turns, Split::Train), folder, open)?;
    let held_out = |entries: &[_]| {
        // Answers are what is measured: scenes have questions even while only their tokens are learned.
        Mixture::open(entries, (recipe.seed, stage.turns.max(1), Split::HeldOut), folder, open)
    };
    let held_out = stage.eval.as_ref().map(|eval| held_out(&eval.data)).transpose()?;
    let steps = match (stage.steps, stage.epochs) {
        (Some(steps), _) => steps,
        (None, epochs) => {
            let steps = (epochs.unwrap_or(1.0) * mixture.epoch() as f64 / stage.batch as f64).ceil().max(1.0);
            if steps > MAX_STEPS {
                let what = format!("stage {:?}: {steps:.0} steps are more than the limit of {MAX_STEPS}", stage.name);
                return Err(LabError::Caller(what));
            }
            steps as usize
        }
    };
    let (schedule, mixture) = (LrSchedule::new(&stage.schedule, steps), Arc::new(mixture));
    Ok(PlannedStage { first_step, steps, first_sample, schedule_first: first_step, schedule, mixture, held_out })
}
