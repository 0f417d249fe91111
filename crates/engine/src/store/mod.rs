//! What was computed of films, kept on disk: features of the encoder, and keys and values of prompts that show them.
//!
//! A [`Store`] is a folder of files, each found by a digest of what it was computed from. Every file appears as a whole
//! and carries a checksum, so that a kill, a full disk or a damaged file costs time and never a right answer. Several
//! processes may use one folder. A [`ModelStore`] is the part of it that belongs to one model.

mod content;
mod entry;
mod files;
mod model_store;
mod process_folder;
mod queue;
mod shared;

pub use content::content_digest;
pub(crate) use content::{FileState, state_of};
pub use entry::EntryKind;
pub(crate) use entry::{HEADER, Key};
pub use files::StoredFile;
pub use model_store::ModelStore;
pub(crate) use model_store::{digest_of, reading};
pub use process_folder::ProcessFolder;
pub use shared::{Store, StoreOptions};

#[cfg(test)]
mod tests;
