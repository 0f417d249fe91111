//! The bytes of a file of a checkpoint: mapped, or embedded in the program.

use std::ops::{Deref, Range};
use std::sync::Arc;

use zoetrope_system::mmap::MappedFile;

/// Bytes of a file; cheap to clone.
#[derive(Clone)]
pub(crate) enum FileBytes {
    /// A mapped file.
    Mapped(Arc<MappedFile>),
    /// Part of the program.
    Embedded(&'static [u8]),
}

impl FileBytes {
    /// Gives the pages of `range` back to the system. They are read again when they are needed again.
    pub(crate) fn release(&self, range: Range<usize>) {
        if let FileBytes::Mapped(file) = self {
            file.release(range);
        }
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            FileBytes::Mapped(file) => file,
            FileBytes::Embedded(bytes) => bytes,
        }
    }
}
