//! Samples: where their bytes lie, what their headers say, and the cues of text tracks.

pub(super) mod facts;
pub(super) mod layout;
pub(crate) mod text;
