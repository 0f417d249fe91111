//! Closed lists of answers.

use super::kind::QuestionKind;
use crate::synth::objects::color::Color;
use crate::synth::objects::motion::Direction;
use crate::synth::objects::shape::Shape;
use crate::synth::scene::{MAX_OBJECTS, PLACE_NAMES};

pub(super) fn color_names() -> Vec<String> {
    strings(&Color::ALL.map(Color::name))
}

pub(super) fn shape_names() -> Vec<String> {
    strings(&Shape::ALL.map(Shape::name))
}

pub(super) fn place_names() -> Vec<String> {
    strings(PLACE_NAMES.as_flattened())
}

/// Names of the directions without "still".
pub(super) fn direction_names() -> Vec<String> {
    strings(&Direction::ALL.map(Direction::name))
}

/// The [verbs](crate::synth::Motion::verb) of all motions.
pub(super) fn verbs() -> Vec<String> {
    strings(&["stays still", "moves", "appears", "disappears", "changes colour"])
}

pub(super) fn yes_no() -> Vec<String> {
    strings(&["yes", "no"])
}

/// The numbers from `fewest` objects to the most that a scene has.
pub(super) fn counts(fewest: usize) -> Vec<String> {
    (fewest..=MAX_OBJECTS).map(|number| number.to_string()).collect()
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| item.to_string()).collect()
}

/// All answers to questions of a kind; empty where they depend on the scene.
pub fn closed_answers(kind: QuestionKind) -> Vec<String> {
    match kind {
        QuestionKind::Color | QuestionKind::Becomes => color_names(),
        QuestionKind::Shape => shape_names(),
        QuestionKind::Count => counts(0),
        QuestionKind::Exists => yes_no(),
        QuestionKind::Place => place_names(),
        QuestionKind::Direction => [direction_names(), vec!["still".to_string()]].concat(),
        QuestionKind::Event => verbs(),
        QuestionKind::Order | QuestionKind::When | QuestionKind::Absent | QuestionKind::Describe => Vec::new(),
    }
}
