//! Pictures and clips that the project draws itself, with questions: what the embedded default model is trained on
//! and measured on. A scene is a function of its split, its seed and a [`Difficulty`]; its pixels are drawn when
//! asked for.
//!
//! **Train and held out never meet.** Every scene has a fingerprint made of what can be asked of it (shapes, colours,
//! places on a 3 x 3 grid, acts and their seconds). One fingerprint in eight belongs to [`Split::HeldOut`], the
//! others to [`Split::Train`], and a generator throws away scenes of the other side. So a held-out combination,
//! however small, has never been seen in training, whatever the seeds are. The seeds of the two splits also start
//! different streams.
//!
//! Deliberately absent: tensors, models, files.

mod ask;
mod backdrop;
mod cells;
mod corpus;
mod dice;
mod events;
mod facts;
mod paint;
mod phrase;
mod place;
mod program;
mod scene;
mod shape;
mod talk;

pub use ask::{Kind, Question};
pub use backdrop::Backdrop;
pub use cells::Cell;
pub use corpus::corpus;
pub use dice::Dice;
pub use program::{Difficulty, MOST_OBJECTS, Split};
pub use scene::{Act, FRAMES_A_SECOND, Object, Scene, Theme};
pub use shape::{Colour, Direction, Shape};
pub use talk::{aside, talk};

#[cfg(test)]
mod tests;
