//! Measuring: the drawn held-out set, and exact-match scoring with the level of chance beside every number.
//!
//! Deliberately absent: the model. Whoever measures hands in a closure that answers an item.

mod drawn;
mod score;

pub use drawn::{Item, drawn_set, drawn_set_of};
pub use score::{Miss, Report, Row, normalise, score, wilson};
