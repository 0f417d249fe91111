//! Which packs of a step a process computes.

use super::collectives::Collectives;
use crate::error::LabError;
use crate::train::recipe::Recipe;

/// The part of a step's `draws` that this process computes, in packs of `pack`: a run of whole packs, so that the packs
/// are the same ones whatever the number of processes. Two parts differ by one pack at most.
pub(in crate::train) fn own_packs<'d, T>(draws: &'d [T], pack: usize, processes: &dyn Collectives) -> &'d [T] {
    let packs = draws.len().div_ceil(pack);
    let first = |rank: usize| (packs * rank / processes.size() * pack).min(draws.len());
    &draws[first(processes.rank())..first(processes.rank() + 1)]
}

/// Refuses a stage whose steps have fewer packs than there are processes: some would never do anything.
///
/// # Errors
/// [`LabError::Caller`] with the stage and both numbers.
pub(in crate::train) fn check_packs(recipe: &Recipe, processes: &dyn Collectives) -> Result<(), LabError> {
    let size = processes.size();
    let few = recipe.stages.iter().find(|stage| stage.batch.div_ceil(stage.pack) < size);
    few.map_or(Ok(()), |stage| {
        let (name, batch, pack, packs) = (&stage.name, stage.batch, stage.pack, stage.batch.div_ceil(stage.pack));
        Err(LabError::Caller(format!(
            "stage {name:?}: batch = {batch} in packs of {pack} makes {packs}, fewer than the {size} processes; lower \
             pack, raise batch, or start fewer processes"
        )))
    })
}
