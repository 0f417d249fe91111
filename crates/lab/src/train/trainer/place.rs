//! The folder of a run: what lies in it, and whether a run may use it.

use std::path::Path;

use zoetrope_models::checkpoint::Checkpoint as ModelCheckpoint;
use zoetrope_system::files::is_same;

use crate::error::LabError;
use crate::train::checkpoint::{Checkpoint, RunIdentity};

/// Folders inside the folder of a run.
pub(super) const CHECKPOINT: &str = "checkpoint";
pub(super) const EXPORTED: &str = "model";
pub(super) const ADAPTER: &str = "adapter";
pub(super) const BEST: &str = "best";
pub(super) const REFERENCE: &str = "reference";
pub(super) const FEATURES: &str = "features";
const OUTPUTS: [&str; 5] = [CHECKPOINT, EXPORTED, ADAPTER, BEST, REFERENCE];
pub(super) const LOCK: &str = ".lock";

/// Whether a part of `checkpoint` is the folder `folder`.
fn is_in(checkpoint: &ModelCheckpoint, folder: &Path) -> bool {
    match checkpoint {
        ModelCheckpoint::Folder(own) => is_same(own, folder),
        ModelCheckpoint::Embedded { .. } => false,
        ModelCheckpoint::Stage { stage, base } => is_in(stage, folder) || is_in(base, folder),
    }
}

/// What an adapter calls the model that it was learned on.
pub(super) fn name_of(checkpoint: &ModelCheckpoint) -> String {
    match checkpoint {
        ModelCheckpoint::Folder(folder) => folder.canonicalize().unwrap_or(folder.clone()).display().to_string(),
        ModelCheckpoint::Embedded { name, .. } => name.to_string(),
        ModelCheckpoint::Stage { base, .. } => name_of(base),
    }
}

/// Refuses a checkpoint of another run, and a run that has ended when a new one is asked for.
pub(super) fn check_same_run(
    run: &RunIdentity,
    found: &Checkpoint,
    steps: usize,
    folder: &Path,
) -> Result<(), LabError> {
    let step = found.progress.step;
    let differs = match &found.run {
        Some(other) => run.difference(other),
        None => None,
    };
    let ended = step >= steps && run.is_from_scratch();
    let why = match differs {
        Some(differs) => format!("holds another training of {step} steps: {differs}"),
        None if ended => format!("holds this training, ended after {step} steps"),
        None => return Ok(()),
    };
    let what = format!("{why}; name another folder for the run, or remove this one");
    Err(LabError::File { file: folder.to_path_buf(), what })
}

/// Refuses to write where the model lies that is read.
///
/// # Errors
/// [`LabError::File`].
pub(super) fn check_apart(template: &ModelCheckpoint, folder: &Path) -> Result<(), LabError> {
    let mut own = OUTPUTS.iter().map(|name| folder.join(name)).chain([folder.to_path_buf()]);
    if own.any(|own| is_in(template, &own)) {
        let what = "the model that is read lies where the run writes; name another folder for the run";
        return Err(LabError::File { file: folder.to_path_buf(), what: what.to_string() });
    }
    Ok(())
}
