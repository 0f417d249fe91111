//! Synthetic pictures and clips with questions: training and evaluation data of the embedded default model. A [`Scene`]
//! is a function of its [`Split`], its seed and a [`Difficulty`]; its frames are rendered on demand.
//!
//! **Train and held-out scenes never meet.** The [fingerprint](Scene::fingerprint) of a scene covers everything that
//! questions ask about: shapes, colors, places on a 3 x 3 grid, motions and their seconds. One of eight fingerprints
//! belongs to [`Split::HeldOut`], the others to [`Split::Train`]. Generation rejects scenes of the other split. So
//! training never sees a held-out combination, whatever the seeds are. The splits also have separate random streams.
//!
//! [`OutOfDomain`] makes what is no scene: images like those of cameras and screens, about which there is one answer.
//!
//! Bottom up: `rng`; `objects` and `backdrop`; `scene`; `render` and `cell_labels`; `questions`; `generate`;
//! `out_of_domain`.
//!
//! Deliberately absent: tensors, models, files.

mod backdrop;
mod cell_labels;
mod generate;
mod objects;
mod out_of_domain;
mod questions;
mod render;
mod rng;
mod scene;

pub use backdrop::Backdrop;
pub use cell_labels::CellLabel;
pub use generate::difficulty::Difficulty;
pub use generate::split::Split;
pub use objects::color::Color;
pub use objects::motion::{Direction, FRAMES_PER_SECOND, Motion};
pub use objects::object::Object;
pub use objects::shape::Shape;
pub use out_of_domain::OutOfDomain;
pub use questions::choices::closed_answers;
pub use questions::draft::Question;
pub use questions::kind::QuestionKind;
pub use questions::small_talk::{UNKNOWN, off_topic, small_talk};
pub use rng::SynthRng;
pub use scene::{MAX_OBJECTS, Scene, Theme};

#[cfg(test)]
mod tests;
