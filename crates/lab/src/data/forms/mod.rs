//! Rows of every known form as one kind of draft: turns, and media that are not opened yet.

mod draft;
mod fields;
mod media;
mod pairs;
mod placeholders;
mod preferences;
mod read;
mod stream;
mod turns;

pub(super) use draft::{MediaDraft, MediaPlace, MediaShape};
pub(super) use read::{RowMembers, read};
