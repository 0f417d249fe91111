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
