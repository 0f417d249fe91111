//! Questions about a scene whose answers are certain.

mod appearance;
pub(super) mod choices;
mod conversation;
pub(super) mod draft;
mod events;
mod facts;
pub(super) mod kind;
mod names;
mod presence;
pub(super) mod small_talk;
mod templates;
