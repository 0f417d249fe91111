//! What the formats have in common.

use super::row_source::Segment;
use crate::error::{ModelError, ModelResult};

/// Named tensors, and where their values lie.
pub(crate) trait TensorStore {
    /// Names of all tensors.
    fn names(&self) -> Vec<&str>;
    /// Whether there is a tensor `name`.
    fn has(&self, name: &str) -> bool;
    /// The shape of the tensor `name` as it is stored.
    fn shape(&self, name: &str) -> Option<&[usize]>;
    /// The rows of the tensor `name`, which must have `shape`.
    ///
    /// # Errors
    /// When there is none, it has another shape, or a type that is not read.
    fn rows(&self, name: &str, shape: &[usize]) -> ModelResult<Segment>;
    /// The error for a tensor that is not there.
    fn missing(&self, name: &str) -> ModelError;
    /// Bytes of all files.
    fn bytes(&self) -> usize;
}

/// The name of a tensor without the prefixes of what a model was wrapped in while it was trained: `module.`
/// (DistributedDataParallel) and `_orig_mod.` (torch.compile).
pub(crate) fn unwrapped_name(name: &str) -> String {
    let name = name.replace("_orig_mod.", "");
    name.strip_prefix("module.").map_or(name.clone(), str::to_string)
}

#[test]
fn prefixes_of_wrappers_are_dropped() {
    for (stored, name) in [
        ("module.model.norm.weight", "model.norm.weight"),
        ("_orig_mod.module.model.norm.weight", "model.norm.weight"),
        ("model._orig_mod.layers.0.weight", "model.layers.0.weight"),
        ("model.module.weight", "model.module.weight"),
    ] {
        assert_eq!(unwrapped_name(stored), name);
    }
}
