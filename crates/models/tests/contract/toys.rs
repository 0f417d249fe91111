//! The toy checkpoints of each family.

use std::path::PathBuf;

use zoetrope_models::checkpoint::Checkpoint;

/// The folder of this crate. A test binary that was carried to another machine is told where it lies by the variable
/// that Cargo sets, too.
pub(crate) fn manifest_folder() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()).into()
}

/// The toys of `family`, at least one: its folders `tests/golden/<family>/toy*`, one for each kind of checkpoint.
pub(crate) fn checkpoints(family: &str) -> Vec<Checkpoint> {
    let folder = manifest_folder().join("tests/golden").join(family);
    let entries = std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap());
    let mut toys: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("toy"))
        .map(|entry| entry.path())
        .collect();
    toys.sort();
    assert!(
        !toys.is_empty(),
        "family {family} has no toy checkpoint: put a small one below crates/models/tests/golden/{family}/toy"
    );
    toys.into_iter().map(Checkpoint::Folder).collect()
}
