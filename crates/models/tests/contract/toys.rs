//! The toy checkpoints of each family.

use std::path::PathBuf;

use zoetrope_models::checkpoint::Checkpoint;

/// Families, and folders below `tests/golden`; a family whose checkpoints are of several kinds has a row for each.
pub(crate) const TOYS: &[(&str, &str)] = &[
    ("cogvlm2", "cogvlm2/toy-video"),
    ("cogvlm2", "cogvlm2/toy-image"),
    ("llama_vid", "llama_vid/toy"),
    ("llava_onevision", "llava_onevision/toy-hf"),
    ("videochat2", "videochat2/toy-hd"),
    ("videollama3", "videollama3/toy-hf"),
];

/// The folder of this crate. A test binary that was carried to another machine is told where it lies by the variable
/// that Cargo sets, too.
pub(crate) fn manifest_folder() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()).into()
}

/// The toys of `family`, at least one.
pub(crate) fn checkpoints(family: &str) -> Vec<Checkpoint> {
    let own = TOYS.iter().filter(|(name, _)| *name == family);
    let toys: Vec<Checkpoint> =
        own.map(|(_, folder)| Checkpoint::Folder(manifest_folder().join("tests/golden").join(folder))).collect();
    assert!(
        !toys.is_empty(),
        "family {family} has no toy checkpoint: put a small one below crates/models/tests/golden/{family} and add a row \
         to TOYS in crates/models/tests/contract/toys.rs"
    );
    toys
}
