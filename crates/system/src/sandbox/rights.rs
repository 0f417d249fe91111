//! What a process may do, and what the kernel lacks to keep it from more.

use std::fs::File;
use std::path::PathBuf;

/// What a confined process may still do.
#[derive(Clone, Copy, Debug)]
pub enum Rights<'a> {
    /// Compute, and use the descriptors that it has.
    Compute,
    /// Also start programs, which may read one file, and folders of programs and libraries.
    Programs {
        /// The file.
        file: &'a File,
        /// Folders beside those of the system and of the variable `PATH`.
        folders: &'a [PathBuf],
    },
}

/// What the kernel lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// System calls are not filtered: the network stays open.
    SystemCalls,
    /// Rules for files are not enforced, or only in part.
    Files,
}
