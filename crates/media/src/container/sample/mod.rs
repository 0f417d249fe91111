//! Samples: where their bytes lie, and what their headers say.

pub(super) mod facts;
pub(super) mod layout;
pub(crate) mod text;
