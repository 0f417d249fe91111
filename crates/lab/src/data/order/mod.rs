//! Which sample comes when: functions of a seed and a number, so that a run can go on from any place.

mod epoch;
mod mixture;
mod permutation;

pub use epoch::EpochOrder;
pub use mixture::{Drawn, MixtureOrder};
