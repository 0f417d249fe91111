//! The toy checkpoint of each family.

use std::path::PathBuf;

use zoetrope_models::checkpoint::Checkpoint;

/// Families, and folders below `tests/golden`.
pub(crate) const TOYS: [(&str, &str); 2] = [("llama_vid", "llama_vid/toy"), ("videollama3", "videollama3/toy-hf")];

/// The folder of this crate. A test binary that was carried to another machine is told where it lies by the variable
/// that Cargo sets, too.
pub(crate) fn manifest_folder() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()).into()
}

/// The toy of `family`.
pub(crate) fn checkpoint(family: &str) -> Checkpoint {
    let Some((_, folder)) = TOYS.iter().find(|(name, _)| *name == family) else {
        panic!(
            "family {family} has no toy checkpoint: put a small one below crates/models/tests/golden/{family} and add a \
             row to TOYS in crates/models/tests/contract/toys.rs"
        );
    };
    Checkpoint::Folder(manifest_folder().join("tests/golden").join(folder))
}
