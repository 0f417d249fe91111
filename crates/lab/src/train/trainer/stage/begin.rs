//! The beginning of a stage: its model, what loads its samples, and the log-probabilities of its reference.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::model::StageModel;
use crate::data::FrozenFeatures;
use crate::error::LabError;
use crate::train::objective::{OnReference, ReferenceLogProbs, ReferencePass, ReferenceTable};
use crate::train::trainer::averages;
use crate::train::trainer::place::{REFERENCE, name_of};
use crate::train::trainer::run::Trainer;

impl Trainer {
    /// Begins stage `next` with what was learned so far.
    pub(in crate::train::trainer) fn enter(&mut self, next: usize) -> Result<(), LabError> {
        // Its workers end before another model is loaded.
        self.feed = None;
        averages::swap(&self.active.trained, &std::mem::take(&mut self.averages))?;
        let stages = &self.plan.recipe.stages;
        let (stage, to) = (&stages[self.active.stage], &stages[next]);
        if stage.same_model(to) {
            let before = self.weights();
            self.active.turn_to((next, to), &self.heads);
            // What this stage does not learn keeps the values that the one before has left.
            self.learned = before;
        } else {
            self.learned = self.active.hand_over(&self.origin, &self.learned, (stage, to))?;
            self.active = StageModel::open(&self.origin, (next, to), &self.learned, Some(&self.heads))?;
        }
        let same_eval = stage.eval.as_ref().map(|eval| &eval.data) == to.eval.as_ref().map(|eval| &eval.data);
        if !same_eval {
            self.progress.best = None;
        }
        if !to.continues {
            self.moments.clear();
        }
        self.processes.share(&self.active.trained, &mut self.moments);
        self.forget_older();
        self.renew_loader()
    }

    /// Takes what loads the samples of the active stage, whose encoder may be another one.
    pub(in crate::train::trainer) fn renew_loader(&mut self) -> Result<(), LabError> {
        let (options, stage, active) = (&self.plan.recipe.loader, self.stage(), &self.active);
        let frozen = match options.keep_features {
            true => active.frozen_encoder(&self.origin, stage, &self.learned)?,
            false => None,
        };
        let name = name_of(&self.origin.template);
        let frozen = frozen.map(|encoder| FrozenFeatures::new(encoder, &name, self.store.as_ref(), &*active.model));
        self.loader = Arc::new(active.loader(stage).keeping(options, &self.kept, frozen));
        self.feed = None;
        Ok(())
    }

    /// Begins to load what is left of stage `index`, unless that has begun.
    pub(in crate::train::trainer) fn begin_feed(&mut self, index: usize) -> Result<(), LabError> {
        let options = &self.plan.recipe.loader;
        // Steps of captions alone prepare their samples themselves.
        let takes = self.stage().objective.contrastive().is_none();
        if self.feed.is_some() || options.workers == 0 || !takes {
            return Ok(());
        }
        let (stage, planned) = (&self.plan.recipe.stages[index], &self.plan.stages[index]);
        let (first, batch) = (planned.first_sample, stage.batch as u64);
        let own = self.processes.own_range(stage.batch, stage.pack);
        let is_own = move |number: &u64| own.contains(&(((number - first) % batch) as usize));
        let numbers = (self.progress.samples..first + planned.steps as u64 * batch).filter(is_own);
        self.feed = Some(planned.mixture.feed((first, numbers), &self.loader, options.read_ahead())?);
        Ok(())
    }

    /// Enters the stage of the next step, with the log-probabilities of its reference where it stores them.
    pub(in crate::train::trainer) fn begin_stage(
        &mut self,
        on_reference: &mut OnReference<'_>,
    ) -> Result<ControlFlow<()>, LabError> {
        let index = self.plan.stage_of(self.progress.step);
        if index != self.active.stage {
            self.enter(index)?;
        }
        let (stage, planned) = (self.stage(), &self.plan.stages[index]);
        let before = index.checked_sub(1).map(|before| &self.plan.recipe.stages[before]);
        let is_known = self.reference.as_ref().is_some_and(|(of, _)| *of == index);
        if is_known || !stage.stores_reference(before) {
            return Ok(ControlFlow::Continue(()));
        }
        let mixtures = [&*planned.mixture, planned.held_out.as_ref().unwrap_or(&planned.mixture)];
        let pass = ReferencePass {
            file: self.folder.join(REFERENCE).join(format!("stage-{}.safetensors", index + 1)),
            key: self.run.digest(index)?,
            work: mixtures.map(|mixture| self.work(mixture)),
            draws: [planned.rows(stage.batch), planned.held_out_rows(stage)],
            is_without_adapters: stage.has_new_adapters_only(before),
            is_at_start: self.progress.step == planned.first_step,
            is_alone: self.processes.is_alone(),
        };
        let (found, flow) = pass.run(on_reference)?;
        if flow.is_continue() {
            self.reference = Some((index, found));
        }
        Ok(flow)
    }

    /// What the stored reference says of some pairs.
    pub(in crate::train::trainer) fn reference_of(
        &self,
        table: impl Fn(&ReferenceLogProbs) -> &ReferenceTable,
    ) -> Option<&ReferenceTable> {
        self.reference.as_ref().filter(|(of, _)| *of == self.active.stage).map(|(_, found)| table(found))
    }
}
