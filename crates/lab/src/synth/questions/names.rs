//! Names of objects: full names, referring expressions that fit one object only, and names that fit none.

use super::facts::Fact;
use crate::synth::objects::color::Color;
use crate::synth::objects::shape::Shape;
use crate::synth::rng::SynthRng;
use crate::synth::scene::Scene;

/// A color, a shape or both; `None` leaves a part open.
pub(super) type PartialName = (Option<Color>, Option<Shape>);

/// Which part of an object's name a question must not say.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Hide {
    Nothing,
    Color,
    Shape,
}

/// Words for one object, and the facts that they reveal.
#[derive(Clone)]
pub(super) struct ReferringExpression {
    pub(super) words: String,
    pub(super) reveals: Vec<Fact>,
}

/// "a" or "an" before `words`.
pub(super) fn article(words: &str) -> &'static str {
    if words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// The full name without an article: "red circle".
pub(super) fn full_name(scene: &Scene, index: usize) -> String {
    let object = &scene.objects[index];
    format!("{} {}", object.color.name(), object.shape.name())
}

/// Random words that fit object `index` and no other; `None` when there are none that obey `hide`.
pub(super) fn referring_expression(
    rng: &mut SynthRng,
    scene: &Scene,
    index: usize,
    hide: Hide,
) -> Option<ReferringExpression> {
    let object = &scene.objects[index];
    let others = || scene.objects.iter().enumerate().filter(move |(other, _)| *other != index).map(|(_, other)| other);
    let alone = scene.objects.len() == 1;
    let unique_shape = others().all(|other| other.shape != object.shape);
    let unique_color = others().all(|other| other.color != object.color && other.final_color() != object.color);
    let weights = [
        if hide == Hide::Nothing { 2.0 } else { 0.0 },
        if hide != Hide::Shape && unique_shape { 1.0 } else { 0.0 },
        if hide != Hide::Color && unique_color { 1.0 } else { 0.0 },
        // "The object" reveals nothing about it, so that everything else can still be asked.
        if alone { 4.0 } else { 0.0 },
    ];
    if weights.iter().all(|weight| *weight == 0.0) {
        return None;
    }
    let (words, mut reveals) = match rng.weighted_index(&weights) {
        0 => (format!("the {}", full_name(scene, index)), vec![Fact::ColorOf(index), Fact::ShapeOf(index)]),
        1 => (format!("the {}", object.shape.name()), vec![Fact::ShapeOf(index)]),
        2 => {
            let noun = rng.choose(&["object", "object", "shape", "thing", "one"]);
            let noun = if hide == Hide::Shape && noun == "shape" { "object" } else { noun };
            (format!("the {} {noun}", object.color.name()), vec![Fact::ColorOf(index)])
        }
        _ => (format!("the {}", rng.choose(&["object", "shape", "thing"])), vec![Fact::TotalCount]),
    };
    reveals.push(Fact::Mention);
    Some(ReferringExpression { words, reveals })
}

/// A random name that fits no object of the scene at any time, often nearly right; `None` when this try fits one.
pub(super) fn sample_absent_name(rng: &mut SynthRng, scene: &Scene) -> Option<PartialName> {
    let object = &scene.objects[rng.below(scene.objects.len())];
    let (color, shape) = (rng.choose(&Color::ALL), rng.choose(&Shape::ALL));
    let name = match rng.weighted_index(&[0.25, 0.25, 0.1, 0.25, 0.15]) {
        0 => (Some(object.color), Some(shape)),
        1 => (Some(color), Some(object.shape)),
        2 => (Some(color), Some(shape)),
        3 => (None, Some(shape)),
        _ => (Some(color), None),
    };
    (!matches_any(scene, name)).then_some(name)
}

/// Whether some object has this name at some time.
pub(super) fn matches_any(scene: &Scene, (color, shape): PartialName) -> bool {
    scene.objects.iter().any(|object| {
        let color_fits = color.is_none_or(|color| color == object.color || color == object.final_color());
        color_fits && shape.is_none_or(|shape| shape == object.shape)
    })
}

/// A name without an article: "red circle", "circle" or "red object".
pub(super) fn name_words((color, shape): PartialName) -> String {
    match (color, shape) {
        (Some(color), Some(shape)) => format!("{} {}", color.name(), shape.name()),
        (None, Some(shape)) => shape.name().to_string(),
        (Some(color), None) => format!("{} object", color.name()),
        (None, None) => "object".to_string(),
    }
}

/// A name with its indefinite article: "a red circle".
pub(super) fn indefinite_name(name: PartialName) -> String {
    let words = name_words(name);
    format!("{} {words}", article(&words))
}

/// What "it is" says of an object of this name: "red", "a circle" or "a red circle".
pub(super) fn predicate(name: PartialName) -> String {
    match name {
        (Some(color), None) => color.name().to_string(),
        name => indefinite_name(name),
    }
}
