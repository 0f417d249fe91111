//! The folder of a run: what lies in it, and whether a run may use it.

use std::fs::File;
use std::path::Path;

use zoetrope_models::checkpoint::Checkpoint as ModelCheckpoint;
use zoetrope_system::files::{is_same, lock};

use crate::error::LabError;
use crate::train::checkpoint::{Checkpoint, RunIdentity};
use crate::train::processes::Collectives;

/// Folders inside the folder of a run.
pub(super) const CHECKPOINT: &str = "checkpoint";
pub(super) const EXPORTED: &str = "model";
pub(super) const ADAPTER: &str = "adapter";
pub(super) const BEST: &str = "best";
pub(super) const REFERENCE: &str = "reference";
pub(super) const FEATURES: &str = "features";
const OUTPUTS: [&str; 5] = [CHECKPOINT, EXPORTED, ADAPTER, BEST, REFERENCE];
const LOCK: &str = ".lock";

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

/// Takes the folder of a run, which the first process locks, and reads the checkpoint that is there.
///
/// # Errors
/// [`LabError::File`] when another run uses the folder, and when it cannot be made or its checkpoint be read.
pub(super) fn take(folder: &Path, processes: &dyn Collectives) -> Result<(Option<File>, Option<Checkpoint>), LabError> {
    let failed = |error: std::io::Error| LabError::File { file: folder.to_path_buf(), what: error.to_string() };
    let busy = || LabError::File { file: folder.to_path_buf(), what: "another process trains here".to_string() };
    let read = || Checkpoint::read(&folder.join(CHECKPOINT));
    if !processes.is_first() {
        // A write that was cut short is undone by the first process.
        processes.barrier()?;
        return Ok((None, read()?));
    }
    std::fs::create_dir_all(folder).map_err(failed)?;
    let lock = lock(&folder.join(LOCK)).map_err(failed)?.ok_or_else(busy)?;
    let checkpoint = read()?;
    processes.barrier()?;
    Ok((Some(lock), checkpoint))
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
