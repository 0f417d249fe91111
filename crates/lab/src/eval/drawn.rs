//! The held-out drawn set: scenes of a kind that training never sees, one question each, answers balanced within a
//! kind.

use crate::draw::{Colour, Dice, Difficulty, Direction, Kind, MOST_OBJECTS, Question, Scene, Shape, Split};
use crate::sample::Sample;

/// One question about one held-out scene.
#[derive(Clone, Debug)]
pub struct Item {
    /// Position in the set.
    pub id: usize,
    /// The scene; draws its frames when asked.
    pub scene: Scene,
    /// The question with its right answer.
    pub question: Question,
}

impl Item {
    /// What the model is asked: the medium and the question, without the answer.
    pub fn sample(&self) -> Sample {
        Sample::question(&self.scene, &self.question)
    }
}

/// Most scenes looked through for one item.
const TRIES: u64 = 20_000;

/// `n` items over all kinds in turn; the same for the same `seed`.
pub fn drawn_set(seed: u64, n: usize) -> Vec<Item> {
    drawn_set_of(seed, n, &Difficulty::full())
}

/// `n` items over the kinds of `difficulty` in turn. Where a kind has a closed list of answers, every answer is asked
/// for equally often. Kinds that this difficulty never asks for give no items.
pub fn drawn_set_of(seed: u64, n: usize, difficulty: &Difficulty) -> Vec<Item> {
    let kinds = &difficulty.kinds;
    let mut items = Vec::with_capacity(n);
    if kinds.is_empty() {
        return items;
    }
    for id in 0..n {
        let kind = kinds[id % kinds.len()];
        let answers = answers(kind);
        let wanted = (!answers.is_empty()).then(|| answers[(id / kinds.len()) % answers.len()].as_str());
        let found = (0..TRIES).find_map(|attempt| {
            let mut dice = Dice::new("drawn/set", seed ^ ((id as u64) << 40) ^ (attempt << 20));
            let scene = Scene::new(Split::HeldOut, dice.word(), difficulty);
            let question = scene.questions(&mut dice, &[kind], 1).pop()?;
            wanted.is_none_or(|wanted| wanted == question.answer).then_some(Item { id, scene, question })
        });
        items.extend(found);
    }
    items
}

/// The closed list of answers of a kind; empty where the scene decides which answers there are.
fn answers(kind: Kind) -> Vec<String> {
    let own = |words: &[&str]| words.iter().map(|word| word.to_string()).collect();
    match kind {
        Kind::Colour | Kind::Becomes => own(&Colour::ALL.map(Colour::name)),
        Kind::Shape => own(&Shape::ALL.map(Shape::name)),
        Kind::Count => (0..=MOST_OBJECTS).map(|number| number.to_string()).collect(),
        Kind::Exists => own(&["yes", "no"]),
        Kind::Place => {
            own(&["top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right"])
        }
        Kind::Direction => {
            let mut words = Direction::ALL.map(Direction::name).to_vec();
            words.push("still");
            own(&words)
        }
        Kind::Event => own(&["stays still", "moves", "appears", "disappears", "changes colour"]),
        Kind::Order | Kind::When | Kind::Absent | Kind::Describe => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn four_hundred_items_over_twelve_kinds_all_held_out() {
        let set = drawn_set(7, 480);
        assert_eq!(set.len(), 480);
        let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
        for item in &set {
            *kinds.entry(item.question.kind).or_default() += 1;
            assert_eq!(Split::of(item.scene.fingerprint()), Split::HeldOut);
            let choices = &item.question.choices;
            assert!(choices.is_empty() || choices.contains(&item.question.answer), "{:?}", item.question);
        }
        assert!(kinds.len() == 12 && kinds.values().all(|count| *count == 40), "{kinds:?}");
    }

    #[test]
    fn closed_answers_are_equally_frequent() {
        let kinds = vec![Kind::Place, Kind::Exists, Kind::Direction];
        let set = drawn_set_of(3, 270, &Difficulty { kinds, ..Difficulty::full() });
        for (kind, most) in [(Kind::Place, 10), (Kind::Exists, 45), (Kind::Direction, 18)] {
            let mut answers: BTreeMap<&str, usize> = BTreeMap::new();
            for item in set.iter().filter(|item| item.question.kind == kind) {
                *answers.entry(&item.question.answer).or_default() += 1;
            }
            assert!(answers.values().all(|count| *count == most), "{answers:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_set_and_another_seed_another() {
        let texts = |seed| drawn_set(seed, 24).into_iter().map(|item| (item.scene, item.question)).collect::<Vec<_>>();
        assert_eq!(texts(1), texts(1));
        assert_ne!(texts(1), texts(2));
    }
}
