//! The two formats of `torch.save`: a pickle, and the bytes of its storages.

mod legacy;
mod torch_zip;

use std::collections::HashMap;

use super::error::ReadError;
use super::state_dict::TensorPlace;
use super::zip::Directory;

/// The tensors of `file`, in whichever of the formats it is.
pub(super) fn read(file: &[u8]) -> Result<HashMap<String, TensorPlace>, ReadError> {
    if Directory::is_zip(file) { torch_zip::read(file) } else { legacy::read(file) }
}
