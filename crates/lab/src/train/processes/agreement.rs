//! Whether all processes do the same run, from the same checkpoint.

use serde::{Deserialize, Serialize};

use super::collectives::Collectives;
use crate::error::LabError;
use crate::train::checkpoint::{RunIdentity, TrainProgress};

#[derive(Serialize, Deserialize)]
struct Claim {
    run: RunIdentity,
    step: usize,
    samples: u64,
}

/// Refuses a run or a checkpoint that is not that of the first process: another recipe or model, or a folder that only
/// some processes see.
///
/// # Errors
/// [`LabError::Caller`] with what differs.
pub(in crate::train) fn check_same(
    processes: &dyn Collectives,
    run: &RunIdentity,
    progress: &TrainProgress,
) -> Result<(), LabError> {
    if processes.is_alone() {
        return Ok(());
    }
    let wrong = |error: serde_json::Error| LabError::Caller(format!("what a process says of its run: {error}"));
    let own = Claim { run: run.clone(), step: progress.step, samples: progress.samples };
    let all = processes.gather(&serde_json::to_vec(&own).map_err(wrong)?)?;
    let first: Claim = serde_json::from_slice(&all[0]).map_err(wrong)?;
    let rank = processes.rank();
    if let Some(differs) = own.run.difference(&first.run) {
        return Err(LabError::Caller(format!(
            "process {rank} was started with another training than process 0: {differs}"
        )));
    }
    if (own.step, own.samples) != (first.step, first.samples) {
        return Err(LabError::Caller(format!(
            "process {rank} reads a checkpoint of step {}, process 0 one of step {}: the folder of the run must lie on \
             a disk that all processes see",
            own.step, first.step
        )));
    }
    Ok(())
}
