//! Which packs of a step a process computes.

use std::ops::Range;

use super::collectives::Collectives;
use crate::error::LabError;
use crate::train::recipe::Recipe;

/// The part of a step's `draws` that this process computes, in packs of `pack`: a run of whole packs, so that the packs
/// are the same ones whatever the number of processes. Two parts differ by one pack at most.
pub(in crate::train) fn own_packs<'d, T>(draws: &'d [T], pack: usize, processes: &dyn Collectives) -> &'d [T] {
    &draws[own_range(draws.len(), pack, processes)]
}

/// The places of [`own_packs`] in a step of `samples`.
pub(in crate::train) fn own_range(samples: usize, pack: usize, processes: &dyn Collectives) -> Range<usize> {
    let packs = samples.div_ceil(pack);
    let first = |rank: usize| (packs * rank / processes.size() * pack).min(samples);
    first(processes.rank())..first(processes.rank() + 1)
}

/// Refuses a stage whose steps have fewer packs than there are processes, as some would never do anything, and one
/// whose loss is over all samples of a step at once.
///
/// # Errors
/// [`LabError::Caller`] with the stage and the numbers.
pub(in crate::train) fn check_packs(recipe: &Recipe, processes: &dyn Collectives) -> Result<(), LabError> {
    let size = processes.size();
    let whole = recipe.stages.iter().find(|stage| size > 1 && stage.objective.contrastive().is_some());
    if let Some(stage) = whole {
        let what = format!(
            "stage {:?}: objective.kind = \"contrastive\" compares all samples of a step: run it in one process, not \
             {size}",
            stage.name
        );
        return Err(LabError::Caller(what));
    }
    let few = recipe.stages.iter().find(|stage| stage.batch.div_ceil(stage.pack) < size);
    few.map_or(Ok(()), |stage| {
        let (name, batch, pack, packs) = (&stage.name, stage.batch, stage.pack, stage.batch.div_ceil(stage.pack));
        Err(LabError::Caller(format!(
            "stage {name:?}: batch = {batch} in packs of {pack} makes {packs}, fewer than the {size} processes; lower \
             pack, raise batch, or start fewer processes"
        )))
    })
}
