//! Questions about which objects there are: how many, whether one exists, and questions about absent objects.

use super::choices;
use super::draft::Draft;
use super::facts::Fact;
use super::kind::QuestionKind;
use super::names::{indefinite_name, matches_any, name_words, predicate, sample_absent_name};
use super::templates::{self, fill_template};
use crate::synth::objects::motion::Motion;
use crate::synth::objects::object::Object;
use crate::synth::rng::SynthRng;
use crate::synth::scene::{Scene, Theme};

impl Scene {
    /// Counts the objects that have the scene's theme, or all objects. `None` when their number changes.
    pub(super) fn count_question(&self, rng: &mut SynthRng) -> Option<Draft> {
        if self.objects.iter().any(|object| matches!(object.motion, Motion::Appears(_) | Motion::Disappears(_))) {
            return None;
        }
        let count = |test: &dyn Fn(&Object) -> bool| self.objects.iter().filter(|object| test(object)).count();
        let (what, number, asked) = match self.theme {
            Some(Theme::Shape(shape)) => {
                (shape.plural().to_string(), count(&|object| object.shape == shape), Fact::ThemeCount)
            }
            Some(Theme::Color(color)) => {
                let noun = rng.choose(&["objects", "things", "shapes"]);
                (format!("{} {noun}", color.name()), count(&|object| object.color == color), Fact::ThemeCount)
            }
            None => (String::new(), self.objects.len(), Fact::TotalCount),
        };
        let wordings = if self.theme.is_some() { templates::COUNT } else { templates::COUNT_ALL };
        let text = fill_template(rng, wordings, self.is_clip(), &[("{x}", &what)]);
        let choices = choices::counts(usize::from(self.theme.is_none()));
        let asks = vec![Fact::Mention, asked];
        let draft = Draft::new(QuestionKind::Count, text, &number.to_string(), choices, asks, vec![]);
        Some(draft.casually(self.theme.is_none(), templates::CASUAL_COUNT))
    }

    /// Half of the answers are "yes".
    pub(super) fn exists_question(&self, rng: &mut SynthRng) -> Option<Draft> {
        let (name, answer) = if rng.random_bool(0.5) {
            let object = &self.objects[rng.below(self.objects.len())];
            if matches!(object.motion, Motion::Becomes(..)) {
                return None;
            }
            let name = match rng.weighted_index(&[0.6, 0.25, 0.15]) {
                0 => (Some(object.color), Some(object.shape)),
                1 => (None, Some(object.shape)),
                _ => (Some(object.color), None),
            };
            (name, "yes")
        } else {
            ((0..8).find_map(|_| sample_absent_name(rng, self))?, "no")
        };
        let text = fill_template(rng, templates::EXISTS, self.is_clip(), &[("{a}", &indefinite_name(name))]);
        let asks = vec![Fact::Mention, Fact::Named(name.0, name.1)];
        let draft = Draft::new(QuestionKind::Exists, text, answer, choices::yes_no(), asks, vec![]);
        let mut draft = draft.casually(self.is_of_one(), templates::CASUAL_EXISTS);
        draft.question.predicate = predicate(name);
        if answer == "yes" {
            draft.reveals.push(Fact::Mention);
            let fits = |object: &Object| {
                name.0.is_none_or(|color| color == object.color) && name.1.is_none_or(|shape| shape == object.shape)
            };
            for index in (0..self.objects.len()).filter(|index| fits(&self.objects[*index])) {
                draft.reveals.extend(name.0.map(|_| Fact::ColorOf(index)));
                draft.reveals.extend(name.1.map(|_| Fact::ShapeOf(index)));
            }
        }
        Some(draft)
    }

    /// A question of another kind about an object that is not there.
    pub(super) fn absent_question(&self, rng: &mut SynthRng) -> Option<Draft> {
        let name = sample_absent_name(rng, self)?;
        if matches_any(self, name) {
            return None;
        }
        let mut options = vec![(templates::PLACE, choices::place_names())];
        if name.0.is_none() {
            options.push((templates::COLOR, choices::color_names()));
        }
        if name.1.is_none() {
            options.push((templates::SHAPE, choices::shape_names()));
        }
        if self.is_clip() {
            options.push((templates::DIRECTION, choices::direction_names()));
            options.push((templates::EVENT, choices::verbs()));
        }
        let (wordings, mut choices) = options.swap_remove(rng.below(options.len()));
        let thing = name_words(name);
        let text = fill_template(rng, wordings, self.is_clip(), &[("{x}", &format!("the {thing}"))]);
        let answer = format!("there is no {thing}");
        choices.push(answer.clone());
        let asks = vec![Fact::Absence, Fact::Named(name.0, name.1)];
        Some(Draft::new(QuestionKind::Absent, text, &answer, choices, asks, vec![]))
    }
}
