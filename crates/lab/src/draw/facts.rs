//! Who knows what in a conversation. A question asks for facts, and its wording and its answer reveal facts; a
//! question is left out when an earlier turn has revealed what it asks, because then it could be answered without
//! looking.

use super::dice::Dice;
use super::phrase::article;
use super::scene::Scene;
use super::shape::{Colour, Shape};

/// Something a turn can ask or reveal. Objects are indices into the scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// That some object is there at all.
    Mention,
    /// How many objects there are.
    Total,
    /// How many objects there are of the scene's theme.
    Themed,
    /// Colour of an object at the start.
    ColourOf(usize),
    /// Shape of an object.
    ShapeOf(usize),
    /// What an object does.
    ActOf(usize),
    /// The way the mover moves (a scene has one at most).
    Way,
    /// That some object does nothing (one such question a conversation is enough).
    Stillness,
    /// The second of an object's event.
    SecondOf(usize),
    /// The colour of an object at the end.
    LastOf(usize),
    /// Where an object is.
    PlaceOf(usize),
    /// That some things asked for are not there (one such question a conversation is enough).
    Absence,
    /// Whether something of this name is there; either part may be left open.
    Named(Option<Colour>, Option<Shape>),
}

/// Which part of an object's name a question must not say.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Hide {
    Nothing,
    Colour,
    Shape,
}

/// Words for an object and what they give away.
#[derive(Clone)]
pub(super) struct Reference {
    pub(super) words: String,
    pub(super) reveals: Vec<Fact>,
}

/// The full name without an article: "red circle".
pub(super) fn full_name(scene: &Scene, index: usize) -> String {
    let object = &scene.objects[index];
    format!("{} {}", object.colour.name(), object.shape.name())
}

/// Words that fit object `index` and no other; `None` when the scene allows none under `hide`.
pub(super) fn refer(dice: &mut Dice, scene: &Scene, index: usize, hide: Hide) -> Option<Reference> {
    let object = &scene.objects[index];
    let others = || scene.objects.iter().enumerate().filter(move |(other, _)| *other != index).map(|(_, other)| other);
    let alone = scene.objects.len() == 1;
    let lone_shape = others().all(|other| other.shape != object.shape);
    let lone_colour = others().all(|other| other.colour != object.colour && other.last_colour() != object.colour);
    let weights = [
        if hide == Hide::Nothing { 2.0 } else { 0.0 },
        if hide != Hide::Shape && lone_shape { 1.0 } else { 0.0 },
        if hide != Hide::Colour && lone_colour { 1.0 } else { 0.0 },
        // Says nothing about it, so that everything else can still be asked.
        if alone { 4.0 } else { 0.0 },
    ];
    if weights.iter().all(|weight| *weight == 0.0) {
        return None;
    }
    let (words, reveals) = match dice.weighted(&weights) {
        0 => (format!("the {}", full_name(scene, index)), vec![Fact::ColourOf(index), Fact::ShapeOf(index)]),
        1 => (format!("the {}", object.shape.name()), vec![Fact::ShapeOf(index)]),
        2 => {
            let noun = dice.pick(&["object", "object", "shape", "thing", "one"]);
            let noun = if hide == Hide::Shape && noun == "shape" { "object" } else { noun };
            (format!("the {} {noun}", object.colour.name()), vec![Fact::ColourOf(index)])
        }
        _ => (format!("the {}", dice.pick(&["object", "shape", "thing"])), vec![Fact::Total]),
    };
    let mut reveals = reveals;
    reveals.push(Fact::Mention);
    Some(Reference { words, reveals })
}

/// A name, whole or in part, that fits no object of the scene at any time; often nearly right.
pub(super) fn absent(dice: &mut Dice, scene: &Scene) -> Option<(Option<Colour>, Option<Shape>)> {
    let model = dice.below(scene.objects.len());
    let object = &scene.objects[model];
    let (colour, shape) = (dice.pick(&Colour::ALL), dice.pick(&Shape::ALL));
    let name = match dice.weighted(&[0.25, 0.25, 0.1, 0.25, 0.15]) {
        0 => (Some(object.colour), Some(shape)),
        1 => (Some(colour), Some(object.shape)),
        2 => (Some(colour), Some(shape)),
        3 => (None, Some(shape)),
        _ => (Some(colour), None),
    };
    (!fits_any(scene, name)).then_some(name)
}

/// Whether some object has this name at some time.
pub(super) fn fits_any(scene: &Scene, (colour, shape): (Option<Colour>, Option<Shape>)) -> bool {
    scene.objects.iter().any(|object| {
        let colour_fits = colour.is_none_or(|colour| colour == object.colour || colour == object.last_colour());
        colour_fits && shape.is_none_or(|shape| shape == object.shape)
    })
}

/// "red circle", "circle" or "red object".
pub(super) fn name_words((colour, shape): (Option<Colour>, Option<Shape>)) -> String {
    match (colour, shape) {
        (Some(colour), Some(shape)) => format!("{} {}", colour.name(), shape.name()),
        (None, Some(shape)) => shape.name().to_string(),
        (Some(colour), None) => format!("{} object", colour.name()),
        (None, None) => "object".to_string(),
    }
}

/// The same with "a" or "an".
pub(super) fn indefinite(name: (Option<Colour>, Option<Shape>)) -> String {
    let words = name_words(name);
    format!("{} {words}", article(&words))
}
