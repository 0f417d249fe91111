//! Questions about what an object looks like and where it is: color, shape, place, description.

use super::choices;
use super::draft::Draft;
use super::facts::Fact;
use super::kind::QuestionKind;
use super::names::{Hide, article, full_name, referring_expression};
use super::templates::{self, fill_template};
use crate::synth::objects::color::Color;
use crate::synth::objects::motion::Motion;
use crate::synth::objects::shape::Shape;
use crate::synth::rng::SynthRng;
use crate::synth::scene::Scene;

/// Least horizontal distance of two objects, in pixels, for "from left to right" to be clear.
const DESCRIBE_GAP: f32 = 22.0;

impl Scene {
    pub(super) fn color_question(&self, rng: &mut SynthRng, index: usize) -> Option<Draft> {
        let object = &self.objects[index];
        if matches!(object.motion, Motion::Becomes(..)) {
            return None;
        }
        let reference = referring_expression(rng, self, index, Hide::Color)?;
        let text = fill_template(rng, templates::COLOR, self.is_clip(), &[("{x}", &reference.words)]);
        let (answer, asks) = (object.color.name(), vec![Fact::ColorOf(index)]);
        let draft = Draft::new(QuestionKind::Color, text, answer, choices::color_names(), asks, reference.reveals);
        Some(draft.casually(self.is_of_one(), templates::CASUAL_COLOR))
    }

    pub(super) fn shape_question(&self, rng: &mut SynthRng, index: usize) -> Option<Draft> {
        let reference = referring_expression(rng, self, index, Hide::Shape)?;
        let text = fill_template(rng, templates::SHAPE, self.is_clip(), &[("{x}", &reference.words)]);
        let (answer, asks) = (self.objects[index].shape.name(), vec![Fact::ShapeOf(index)]);
        let draft = Draft::new(QuestionKind::Shape, text, answer, choices::shape_names(), asks, reference.reveals);
        Some(draft.casually(self.is_of_one(), templates::CASUAL_SHAPE))
    }

    pub(super) fn place_question(&self, rng: &mut SynthRng, index: usize) -> Option<Draft> {
        let object = &self.objects[index];
        if matches!(object.motion, Motion::Moves(..)) {
            return None;
        }
        let answer = self.place_name(object.center)?;
        let reference = referring_expression(rng, self, index, Hide::Nothing)?;
        let text = fill_template(rng, templates::PLACE, self.is_clip(), &[("{x}", &reference.words)]);
        let asks = vec![Fact::PlaceOf(index)];
        let draft = Draft::new(QuestionKind::Place, text, answer, choices::place_names(), asks, reference.reveals);
        Some(draft.casually(self.is_of_one(), templates::CASUAL_PLACE))
    }

    /// `None` when the order from left to right is not clear, and for a clip of more than two objects.
    pub(super) fn describe_question(&self, rng: &mut SynthRng) -> Option<Draft> {
        let x = |index: usize| self.objects[index].center.0;
        let mut order: Vec<usize> = (0..self.objects.len()).collect();
        order.sort_by(|a, b| x(*a).total_cmp(&x(*b)));
        let clear = order.windows(2).all(|pair| x(pair[1]) - x(pair[0]) >= DESCRIBE_GAP);
        if !clear || (self.is_clip() && order.len() > 2) {
            return None;
        }
        let phrases: Vec<String> = order.iter().map(|index| self.describe_object(*index)).collect();
        let (wordings, casual) = if self.is_clip() {
            (templates::DESCRIBE_CLIP, templates::CASUAL_DESCRIBE_CLIP)
        } else {
            (templates::DESCRIBE_PICTURE, templates::CASUAL_DESCRIBE_PICTURE)
        };
        let text = fill_template(rng, wordings, self.is_clip(), &[]);
        let mut asks = vec![Fact::Mention, Fact::TotalCount];
        let mut reveals = vec![Fact::Mention, Fact::ThemeCount];
        for index in order {
            asks.extend([Fact::ColorOf(index), Fact::ShapeOf(index)]);
            reveals.extend([Fact::MotionOf(index), Fact::MoveDirection, Fact::FinalColorOf(index)]);
        }
        let mut draft = Draft::new(QuestionKind::Describe, text, &phrases.join(", "), Vec::new(), asks, reveals);
        let names = (Color::ALL.len() * Shape::ALL.len()) as f64;
        draft.question.chance = names.powi(-(self.objects.len() as i32));
        Some(draft.casually(true, casual))
    }

    fn describe_object(&self, index: usize) -> String {
        let object = &self.objects[index];
        let name = full_name(self, index);
        let name = format!("{} {name}", article(&name));
        match object.motion {
            Motion::Still => name,
            Motion::Moves(direction, _) => format!("{name} moves {}", direction.name()),
            Motion::Becomes(_, to, _) => format!("{name} becomes {}", to.name()),
            _ => format!("{name} {}", object.motion.verb()),
        }
    }
}
