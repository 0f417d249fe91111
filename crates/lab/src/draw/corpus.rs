//! Text for the tokenizer: conversations as the prompt writes them, time stamps, and some ordinary English so that
//! words from outside do not fall to single bytes.

use super::dice::Dice;
use super::program::{Difficulty, Split};
use super::scene::Scene;
use super::talk::{aside, talk};

/// Ordinary sentences, written for this purpose.
const ENGLISH: &[&str] = &[
    "The quick brown fox jumps over the lazy dog while a jazz quartet plays by the window.",
    "A woman in a long coat walks along the river, and two children run after her with a yellow kite.",
    "Please look at the whole video before you answer, then say what you saw and when it happened.",
    "There was something about the house that nobody could explain, though many people had tried to.",
    "In the morning the market opens, and by noon every street is full of cars, bicycles and people talking.",
    "He opened the door, put his keys on the table, and made himself a cup of coffee before the others came.",
    "Which of the following statements is true? Choose the best answer and give the reason in one sentence.",
    "The teacher writes the question on the board: how far will the train travel between these two cities?",
    "I would have liked to stay longer, but the weather turned cold and the last boat was leaving at eight.",
    "You are a helpful assistant. Answer with a single word or a short phrase, and do not make anything up.",
    "Images and videos are made of small coloured points; together they show objects, faces, places and actions.",
    "They should not have been working under such conditions, yet without them the bridge might never be finished.",
    "Can you describe the background, the person on the left, and what changes after the first few seconds?",
];

/// `n` texts of which every tenth is ordinary English; the same for the same `seed`. Draws on training scenes only.
pub fn corpus(seed: u64, n: usize) -> impl Iterator<Item = String> {
    let difficulty = Difficulty::full();
    (0..n).map(move |index| {
        let mut dice = Dice::new("drawn/corpus", seed.wrapping_mul(0x1_0000_0001).wrapping_add(index as u64));
        if index % 10 == 9 {
            return ENGLISH[(index / 10) % ENGLISH.len()].to_string();
        }
        let scene = Scene::new(Split::Train, dice.word(), &difficulty);
        let mut text = stamps(&scene);
        for question in scene.conversation(&mut dice, &difficulty.kinds, 6) {
            text.push_str(&turn(&question.text, &question.answer));
        }
        if index % 10 == 0 {
            let (question, answer) = if dice.chance(0.7) { talk(&mut dice) } else { aside(&mut dice) };
            text.push_str(&turn(&question, &answer));
        }
        text
    })
}

fn turn(question: &str, answer: &str) -> String {
    format!("user\n{question}\nassistant\n{answer}\n")
}

/// The stamps of a clip as the prompt writes them.
fn stamps(scene: &Scene) -> String {
    (0..scene.seconds).map(|second| format!("Time {second}.0s:,")).collect()
}
