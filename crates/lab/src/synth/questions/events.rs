//! Questions about what happens in a clip: what, when, in which direction, in which order, to which color.

use super::choices;
use super::draft::Draft;
use super::facts::Fact;
use super::kind::QuestionKind;
use super::names::{Hide, full_name, referring_expression};
use super::templates::{self, fill_template};
use crate::synth::objects::motion::Motion;
use crate::synth::rng::SynthRng;
use crate::synth::scene::Scene;

impl Scene {
    pub(super) fn when_question(&self, rng: &mut SynthRng, index: usize) -> Option<Draft> {
        let motion = &self.objects[index].motion;
        let second = motion.event_second()?;
        let (wordings, casual) = match motion {
            Motion::Appears(_) => (templates::WHEN_APPEARS, templates::CASUAL_WHEN_APPEARS),
            Motion::Disappears(_) => (templates::WHEN_DISAPPEARS, templates::CASUAL_WHEN_DISAPPEARS),
            _ => (templates::WHEN_CHANGES, templates::CASUAL_WHEN_CHANGES),
        };
        let mut reference = referring_expression(rng, self, index, Hide::Nothing)?;
        reference.reveals.push(Fact::MotionOf(index));
        let text = fill_template(rng, wordings, true, &[("{x}", &reference.words)]);
        let choices = (1..self.seconds).map(|second| second.to_string()).collect();
        let asks = vec![Fact::EventSecondOf(index)];
        let draft = Draft::new(QuestionKind::When, text, &second.to_string(), choices, asks, reference.reveals);
        Some(draft.casually(self.is_of_one(), casual))
    }

    pub(super) fn becomes_question(&self, rng: &mut SynthRng, index: usize) -> Option<Draft> {
        let Motion::Becomes(_, to, _) = self.objects[index].motion else { return None };
        let mut reference = referring_expression(rng, self, index, Hide::Nothing)?;
        reference.reveals.push(Fact::MotionOf(index));
        let text = fill_template(rng, templates::BECOMES, true, &[("{x}", &reference.words)]);
        let (choices, asks) = (choices::color_names(), vec![Fact::FinalColorOf(index)]);
        let draft = Draft::new(QuestionKind::Becomes, text, to.name(), choices, asks, reference.reveals);
        Some(draft.casually(self.is_of_one(), templates::CASUAL_BECOMES))
    }

    /// Asks about the moving object in nine of ten scenes that have one. The other scenes, and one in 24 without a
    /// moving object, ask about an object that stays still, so that all answers are about equally frequent.
    pub(super) fn direction_question(&self, rng: &mut SynthRng) -> Option<Draft> {
        let moving = self.objects.iter().position(|object| matches!(object.motion, Motion::Moves(..)));
        let still: Vec<usize> =
            (0..self.objects.len()).filter(|index| self.objects[*index].motion == Motion::Still).collect();
        let index = match moving {
            Some(index) if still.is_empty() || !self.seed.is_multiple_of(10) => index,
            None if !self.is_clip() || still.is_empty() || !self.seed.is_multiple_of(24) => return None,
            _ => still[rng.below(still.len())],
        };
        let answer = match self.objects[index].motion {
            Motion::Moves(direction, _) => direction.name(),
            _ => "still",
        };
        let reference = referring_expression(rng, self, index, Hide::Nothing)?;
        let text = fill_template(rng, templates::DIRECTION, true, &[("{x}", &reference.words)]);
        let choices = choices::closed_answers(QuestionKind::Direction);
        let asks = vec![Fact::MoveDirection, Fact::MotionOf(index)];
        let draft = Draft::new(QuestionKind::Direction, text, answer, choices, asks, reference.reveals);
        Some(draft.casually(self.is_of_one(), templates::CASUAL_DIRECTION))
    }

    /// Asks about an object that does something, or in one of four scenes about one that stays still. Half of the clips
    /// in which nothing happens have no such question, so that "stays still" is not too frequent.
    pub(super) fn event_question(&self, rng: &mut SynthRng) -> Option<Draft> {
        let (still, active): (Vec<usize>, Vec<usize>) =
            (0..self.objects.len()).partition(|index| self.objects[*index].motion == Motion::Still);
        if !self.is_clip() || (active.is_empty() && !self.seed.is_multiple_of(2)) {
            return None;
        }
        let ask_still = active.is_empty() || (!still.is_empty() && self.seed.is_multiple_of(4));
        let candidates = if ask_still { still } else { active };
        let index = candidates[rng.below(candidates.len())];
        let reference = referring_expression(rng, self, index, Hide::Nothing)?;
        let text = fill_template(rng, templates::EVENT, true, &[("{x}", &reference.words)]);
        let answer = self.objects[index].motion.verb();
        let mut asks = vec![Fact::MotionOf(index)];
        asks.extend(ask_still.then_some(Fact::Stillness));
        let draft = Draft::new(QuestionKind::Event, text, answer, choices::verbs(), asks, reference.reveals);
        Some(draft.casually(self.is_of_one(), templates::CASUAL_EVENT))
    }

    /// Which of two objects appears first, or disappears first when no object appears.
    pub(super) fn order_question(&self, rng: &mut SynthRng) -> Option<Draft> {
        let appearing = self.objects.iter().any(|object| matches!(object.motion, Motion::Appears(_)));
        let mut pair: Vec<(usize, u32)> = Vec::new();
        for (index, object) in self.objects.iter().enumerate() {
            match object.motion {
                Motion::Appears(second) if appearing => pair.push((index, second)),
                Motion::Disappears(second) if !appearing => pair.push((index, second)),
                _ => {}
            }
        }
        rng.shuffle(&mut pair);
        let [(first, first_second), (second, second_second), ..] = pair[..] else { return None };
        let names = [full_name(self, first), full_name(self, second)].map(|name| format!("the {name}"));
        let wordings = if appearing { templates::FIRST_TO_APPEAR } else { templates::FIRST_TO_DISAPPEAR };
        let text = fill_template(rng, wordings, true, &[("{a}", &names[0]), ("{b}", &names[1])]);
        let answer = &names[usize::from(second_second < first_second)];
        let asks = vec![Fact::EventSecondOf(first), Fact::EventSecondOf(second)];
        let mut reveals = vec![Fact::Mention];
        for index in [first, second] {
            reveals.extend([Fact::ColorOf(index), Fact::ShapeOf(index), Fact::MotionOf(index)]);
        }
        Some(Draft::new(QuestionKind::Order, text, answer, names.to_vec(), asks, reveals))
    }
}
