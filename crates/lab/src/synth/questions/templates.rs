//! Templates of questions, in the spelling that the committed model learned. `{x}`, `{a}` and `{b}` stand for objects,
//! `{m}` for the medium.

use crate::synth::rng::SynthRng;

pub(super) const COLOR: &[&str] = &[
    "what colour is {x}?",
    "which colour is {x}?",
    "what is the colour of {x}?",
    "tell me the colour of {x}.",
    "what colour does {x} have?",
];
pub(super) const SHAPE: &[&str] = &[
    "what shape is {x}?",
    "which shape is {x}?",
    "what is the shape of {x}?",
    "tell me the shape of {x}.",
    "what shape does {x} have?",
];
pub(super) const COUNT_ALL: &[&str] = &[
    "how many objects are there?",
    "how many objects do you see?",
    "count the objects.",
    "how many things are in the {m}?",
    "how many shapes are there?",
    "how many objects are in the {m}?",
];
pub(super) const COUNT: &[&str] = &[
    "how many {x} are there?",
    "how many {x} do you see?",
    "count the {x}.",
    "how many {x} are in the {m}?",
    "how many {x} can you see?",
];
pub(super) const PLACE: &[&str] = &[
    "where is {x}?",
    "where in the {m} is {x}?",
    "in which part of the {m} is {x}?",
    "what is the position of {x}?",
    "where do you see {x}?",
];
pub(super) const DIRECTION: &[&str] = &[
    "which way does {x} move?",
    "in which direction does {x} move?",
    "what direction does {x} go?",
    "which way is {x} going?",
    "which direction is {x} moving in?",
];
pub(super) const FIRST_TO_APPEAR: &[&str] = &[
    "which appears first, {a} or {b}?",
    "which one comes first, {a} or {b}?",
    "what appears first: {a} or {b}?",
    "what shows up first, {a} or {b}?",
];
pub(super) const FIRST_TO_DISAPPEAR: &[&str] = &[
    "which disappears first, {a} or {b}?",
    "which one is gone first, {a} or {b}?",
    "what disappears first: {a} or {b}?",
    "what goes away first, {a} or {b}?",
];
pub(super) const WHEN_APPEARS: &[&str] = &[
    "at what second does {x} appear?",
    "when does {x} appear?",
    "at which second does {x} show up?",
    "in which second does {x} appear?",
];
pub(super) const WHEN_DISAPPEARS: &[&str] = &[
    "at what second does {x} disappear?",
    "when does {x} disappear?",
    "at which second does {x} go away?",
    "in which second does {x} disappear?",
];
pub(super) const WHEN_CHANGES: &[&str] = &[
    "at what second does {x} change colour?",
    "when does {x} change colour?",
    "at which second does {x} change its colour?",
    "when does the colour of {x} change?",
];
pub(super) const EVENT: &[&str] =
    &["what happens to {x}?", "what does {x} do?", "what happens with {x}?", "tell me what {x} does."];
pub(super) const BECOMES: &[&str] = &[
    "what colour does {x} become?",
    "what colour does {x} turn?",
    "which colour does {x} change to?",
    "what colour is {x} at the end?",
];
pub(super) const EXISTS: &[&str] =
    &["is there {a}?", "do you see {a}?", "is there {a} in the {m}?", "does the {m} show {a}?", "can you see {a}?"];
pub(super) const DESCRIBE_PICTURE: &[&str] =
    &["describe the {m}.", "what do you see?", "what is in the {m}?", "list the objects.", "what does the {m} show?"];
pub(super) const DESCRIBE_CLIP: &[&str] =
    &["describe the {m}.", "what happens in the {m}?", "what happens?", "tell me what happens.", "what do you see?"];

// As people also type it where only one thing can be meant. Only training asks so: the held-out set keeps its wording.

pub(super) const CASUAL_COLOR: &[&str] = &[
    "what colour?",
    "which colour?",
    "colour?",
    "what colour is it?",
    "which colour is it?",
    "what is its colour?",
    "what colour is this?",
    "tell me its colour.",
];
pub(super) const CASUAL_SHAPE: &[&str] = &[
    "what shape?",
    "which shape?",
    "shape?",
    "what shape is it?",
    "which shape is it?",
    "what is its shape?",
    "what shape is this?",
    "tell me its shape.",
];
pub(super) const CASUAL_PLACE: &[&str] = &[
    "where?",
    "where is it?",
    "where in the {m} is it?",
    "what is its position?",
    "position?",
    "where do you see it?",
];
pub(super) const CASUAL_COUNT: &[&str] = &[
    "how many?",
    "how many are there?",
    "how many do you see?",
    "count them.",
    "how many things?",
    "how many objects?",
];
pub(super) const CASUAL_DIRECTION: &[&str] = &[
    "which way?",
    "which direction?",
    "direction?",
    "which way does it move?",
    "which way does it go?",
    "in which direction does it move?",
    "where does it go?",
    "where does it move?",
];
pub(super) const CASUAL_EVENT: &[&str] =
    &["what does it do?", "what happens to it?", "what is it doing?", "what happens with it?"];
pub(super) const CASUAL_BECOMES: &[&str] = &[
    "what colour does it become?",
    "what colour does it turn?",
    "which colour does it change to?",
    "what colour is it at the end?",
];
pub(super) const CASUAL_WHEN_APPEARS: &[&str] =
    &["when does it appear?", "at what second does it appear?", "when does it show up?"];
pub(super) const CASUAL_WHEN_DISAPPEARS: &[&str] =
    &["when does it disappear?", "at what second does it disappear?", "when does it go away?"];
pub(super) const CASUAL_WHEN_CHANGES: &[&str] =
    &["when does it change colour?", "at what second does it change?", "when does its colour change?"];
pub(super) const CASUAL_EXISTS: &[&str] = &["is it {a}?"];
pub(super) const CASUAL_DESCRIBE_PICTURE: &[&str] = &[
    "what is this?",
    "what's this?",
    "what is it?",
    "what is shown?",
    "what is shown here?",
    "what's in the {m}?",
    "what is in this {m}?",
    "what do you see here?",
    "what can you see?",
    "describe this {m}.",
    "describe the {m} in detail.",
    "describe this {m} in detail.",
    "please describe the {m}.",
    "describe it.",
    "caption this {m}.",
];
pub(super) const CASUAL_DESCRIBE_CLIP: &[&str] = &[
    "what is going on?",
    "what's going on?",
    "what is happening?",
    "what's happening?",
    "what happens here?",
    "what happens in this {m}?",
    "what's in the {m}?",
    "what is in this {m}?",
    "what is shown?",
    "what can you see?",
    "describe this {m}.",
    "describe the {m} in detail.",
    "describe this {m} in detail.",
    "please describe the {m}.",
    "describe it.",
    "summarize the {m}.",
    "summarize this {m}.",
    "what is this {m} about?",
];

/// A random template with each placeholder of `fills` replaced. Spelling, final mark and capital vary as when people
/// type.
pub(super) fn fill_template(rng: &mut SynthRng, templates: &[&str], clip: bool, fills: &[(&str, &str)]) -> String {
    let mut text = rng.choose(templates).to_string();
    for (mark, words) in fills {
        text = text.replace(mark, words);
    }
    let medium = if clip { rng.choose(&["clip", "video"]) } else { rng.choose(&["picture", "image"]) };
    text = text.replace("{m}", medium);
    if rng.random_bool(0.5) {
        text = text.replace("colour", "color");
    }
    if rng.random_bool(0.15) {
        text.truncate(text.trim_end_matches(['?', '.']).len());
    }
    if rng.random_bool(0.75) { capitalize(&text) } else { text }
}

/// `text` with its first letter in upper case.
pub(super) fn capitalize(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
