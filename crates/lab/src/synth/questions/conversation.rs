//! Sampling of questions about a scene.

use super::draft::{Draft, Question};
use super::facts::Fact;
use super::kind::QuestionKind;
use crate::synth::rng::SynthRng;
use crate::synth::scene::Scene;

impl Scene {
    /// Up to `turns` questions of `kinds` for one conversation. No question can be answered from earlier turns.
    pub fn conversation(&self, rng: &mut SynthRng, kinds: &[QuestionKind], turns: usize) -> Vec<Question> {
        let mut known: Vec<Fact> = Vec::new();
        let mut asked: Vec<Question> = Vec::new();
        while asked.len() < turns {
            let Some(draft) = self.sample_draft(rng, kinds, &known) else { break };
            known.extend(draft.reveals);
            asked.push(draft.question);
        }
        asked
    }

    /// Up to `n` different questions of `kinds`, each for a conversation of its own.
    pub fn questions(&self, rng: &mut SynthRng, kinds: &[QuestionKind], n: usize) -> Vec<Question> {
        let mut asked: Vec<Question> = Vec::new();
        for _ in 0..4 * n {
            if asked.len() == n {
                break;
            }
            let Some(draft) = self.sample_draft(rng, kinds, &[]) else { break };
            if asked.iter().all(|question| question.text != draft.question.text) {
                asked.push(draft.question);
            }
        }
        asked
    }

    /// A random question that asks for nothing `known`; `None` when there is none. A kind is sampled by its weight.
    fn sample_draft(&self, rng: &mut SynthRng, kinds: &[QuestionKind], known: &[Fact]) -> Option<Draft> {
        let mut candidates: Vec<Draft> = Vec::new();
        let mut weights: Vec<f32> = Vec::new();
        for kind in kinds {
            let mut drafts = self.drafts(rng, *kind);
            drafts.retain(|draft| draft.asks.iter().all(|fact| !known.contains(fact)));
            if !drafts.is_empty() {
                candidates.push(drafts.swap_remove(rng.below(drafts.len())));
                weights.push(kind.weight());
            }
        }
        if candidates.is_empty() { None } else { Some(candidates.swap_remove(rng.weighted_index(&weights))) }
    }

    /// Questions of one kind: one per object, or one for the scene.
    fn drafts(&self, rng: &mut SynthRng, kind: QuestionKind) -> Vec<Draft> {
        let objects = 0..self.objects.len();
        match kind {
            QuestionKind::Color => objects.filter_map(|index| self.color_question(rng, index)).collect(),
            QuestionKind::Shape => objects.filter_map(|index| self.shape_question(rng, index)).collect(),
            QuestionKind::Place => objects.filter_map(|index| self.place_question(rng, index)).collect(),
            QuestionKind::When => objects.filter_map(|index| self.when_question(rng, index)).collect(),
            QuestionKind::Becomes => objects.filter_map(|index| self.becomes_question(rng, index)).collect(),
            QuestionKind::Count => self.count_question(rng).into_iter().collect(),
            QuestionKind::Exists => self.exists_question(rng).into_iter().collect(),
            QuestionKind::Direction => self.direction_question(rng).into_iter().collect(),
            QuestionKind::Event => self.event_question(rng).into_iter().collect(),
            QuestionKind::Order => self.order_question(rng).into_iter().collect(),
            QuestionKind::Absent => self.absent_question(rng).into_iter().collect(),
            QuestionKind::Describe => self.describe_question(rng).into_iter().collect(),
        }
    }
}
