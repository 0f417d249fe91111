//! The held-out set: scenes that training never sees, one question each, with answers balanced within each kind.

use crate::sample::Sample;
use crate::synth::{Difficulty, Question, Scene, Split, SynthRng, closed_answers};

/// One question about one held-out scene.
#[derive(Clone, Debug)]
pub struct EvalItem {
    /// Position in the set.
    pub id: usize,
    /// The scene; its frames are rendered on demand.
    pub scene: Scene,
    /// The question with its right answer.
    pub question: Question,
}

impl EvalItem {
    /// What the model is asked: the medium and the question, without the answer.
    pub fn sample(&self) -> Sample {
        Sample::question(&self.scene, &self.question)
    }
}

/// Most scenes tried for one item.
const MAX_TRIES: u64 = 20_000;

/// `n` items of [full difficulty](Difficulty::full) over all kinds of questions in turn. A seed gives one set.
pub fn held_out_set(seed: u64, n: usize) -> Vec<EvalItem> {
    held_out_set_of(seed, n, &Difficulty::full())
}

/// `n` items over the kinds of questions of `difficulty` in turn. A seed gives one set. Where a kind has a closed list
/// of answers, each answer is equally frequent. Items are missing for kinds that no scene of this difficulty allows.
pub fn held_out_set_of(seed: u64, n: usize, difficulty: &Difficulty) -> Vec<EvalItem> {
    let kinds = &difficulty.kinds;
    let mut items = Vec::with_capacity(n);
    if kinds.is_empty() {
        return items;
    }
    for id in 0..n {
        let kind = kinds[id % kinds.len()];
        let answers = closed_answers(kind);
        let wanted = (!answers.is_empty()).then(|| answers[(id / kinds.len()) % answers.len()].as_str());
        let found = (0..MAX_TRIES).find_map(|attempt| {
            let mut rng = SynthRng::new("drawn/set", seed ^ ((id as u64) << 40) ^ (attempt << 20));
            let scene = Scene::generate(Split::HeldOut, rng.next_u64(), difficulty);
            let question = scene.questions(&mut rng, &[kind], 1).pop()?;
            wanted.is_none_or(|wanted| wanted == question.answer).then_some(EvalItem { id, scene, question })
        });
        items.extend(found);
    }
    items
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::synth::QuestionKind;

    #[test]
    fn four_hundred_items_over_twelve_kinds_all_held_out() {
        let set = held_out_set(7, 480);
        assert_eq!(set.len(), 480);
        let mut kinds: BTreeMap<QuestionKind, usize> = BTreeMap::new();
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
        let kinds = vec![QuestionKind::Place, QuestionKind::Exists, QuestionKind::Direction];
        let set = held_out_set_of(3, 270, &Difficulty { kinds, ..Difficulty::full() });
        for (kind, most) in [(QuestionKind::Place, 10), (QuestionKind::Exists, 45), (QuestionKind::Direction, 18)] {
            let mut answers: BTreeMap<&str, usize> = BTreeMap::new();
            for item in set.iter().filter(|item| item.question.kind == kind) {
                *answers.entry(&item.question.answer).or_default() += 1;
            }
            assert!(answers.values().all(|count| *count == most), "{answers:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_set_and_another_seed_another() {
        let texts =
            |seed| held_out_set(seed, 24).into_iter().map(|item| (item.scene, item.question)).collect::<Vec<_>>();
        assert_eq!(texts(1), texts(1));
        assert_ne!(texts(1), texts(2));
    }
}
