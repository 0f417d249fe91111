//! What to train on, for how long and how fast: a TOML file. docs/training.md describes its fields for people.

mod limits;
mod objective;
mod options;
mod read;
mod run;
mod stage;
#[cfg(test)]
mod tests;
mod version_0_1;

pub use self::objective::{ObjectiveKind, ObjectiveOptions};
pub use self::options::{
    EvalOptions, GroupOptions, GroupPrecision, LearnKind, LossPer, MixEntry, OptimizerKind, OptimizerOptions, Sampling,
    Schedule, ScheduleKind,
};
pub use self::run::Recipe;
pub(super) use self::stage::GROUPS;
pub use self::stage::Stage;
