//! Questions that no scene answers: small talk, questions about the model, and questions that it should decline.

use super::templates::capitalize;
use crate::synth::rng::SynthRng;

const ABILITY: &str = "i can tell the shape, colour, place, number and movement of simple drawn objects";
const HELLO: &str = "hello, show me a picture or a clip of drawn shapes and ask about it";
/// What the default model answers where it knows nothing.
pub const UNKNOWN: &str = "i do not know, i only know simple drawn shapes";
const NOTHING: &str = "i see no picture, please show me one";

const SMALL_TALK: &[(&str, &str)] = &[
    ("hello", HELLO),
    ("hi", HELLO),
    ("hello there!", HELLO),
    ("good morning.", HELLO),
    ("hey, how are you?", HELLO),
    ("what can you do?", ABILITY),
    ("what are you able to do?", ABILITY),
    ("how can you help me?", ABILITY),
    ("help", ABILITY),
    ("what do you know?", ABILITY),
    ("who are you?", "i am a very small model that looks at drawn shapes"),
    ("what are you?", "i am a very small model that looks at drawn shapes"),
    ("what is your name?", "i am a very small model that looks at drawn shapes"),
    ("thank you", "you are welcome"),
    ("thanks!", "you are welcome"),
    ("goodbye", "goodbye"),
    ("bye", "goodbye"),
    ("what is the capital of france?", UNKNOWN),
    ("who wrote hamlet?", UNKNOWN),
    ("how old is the earth?", UNKNOWN),
    ("write a poem about the sea.", UNKNOWN),
    ("what is two plus two?", UNKNOWN),
    ("explain how an engine works.", UNKNOWN),
    ("translate this into german.", UNKNOWN),
    ("what is the weather today?", UNKNOWN),
    ("tell me a joke.", UNKNOWN),
    ("who is the president?", UNKNOWN),
    ("what is the meaning of life?", UNKNOWN),
    ("what colour is the circle?", NOTHING),
    ("how many objects are there?", NOTHING),
    ("what happens in the video?", NOTHING),
    ("describe the picture.", NOTHING),
    ("what do you see?", NOTHING),
    ("where is the red square?", NOTHING),
    ("which way does the star move?", NOTHING),
    ("is there a blue triangle?", NOTHING),
];

const OFF_TOPIC: &[&str] = &[
    "who drew this?",
    "what is the person wearing?",
    "what breed is the dog?",
    "what time of day is it?",
    "where was this filmed?",
    "what does the sign say?",
    "what music is playing?",
    "how old is the woman?",
    "what are they talking about?",
    "why is the man laughing?",
    "what is the name of the city?",
    "how much does it cost?",
    "which team is winning?",
    "what is the recipe?",
    "who is the actor?",
    "what is the weather like?",
];

fn as_typed(rng: &mut SynthRng, text: &str) -> String {
    let bare = if rng.random_bool(0.15) { text.trim_end_matches(['?', '.', '!']) } else { text };
    if rng.random_bool(0.7) { capitalize(bare) } else { bare.to_string() }
}

/// A random question without any picture or clip, and its answer.
pub fn small_talk(rng: &mut SynthRng) -> (String, String) {
    let (question, answer) = rng.choose(SMALL_TALK);
    (as_typed(rng, question), answer.to_string())
}

/// A random question that a scene does not answer, and the answer that says so.
pub fn off_topic(rng: &mut SynthRng) -> (String, String) {
    let question = rng.choose(OFF_TOPIC);
    (as_typed(rng, question), UNKNOWN.to_string())
}
