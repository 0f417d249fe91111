//! Questions about what happens in a clip: when, which way, in what order, what becomes of what.

use super::ask::{Draft, Kind, strings, words};
use super::dice::Dice;
use super::facts::{Fact, Hide, full_name, refer};
use super::phrase;
use super::phrase::say;
use super::scene::{Act, Scene};
use super::shape::{Colour, Direction};

impl Scene {
    pub(super) fn when(&self, dice: &mut Dice, index: usize) -> Option<Draft> {
        let act = &self.objects[index].act;
        let second = act.second()?;
        let templates = match act {
            Act::Appears(_) => phrase::WHEN_APPEARS,
            Act::Disappears(_) => phrase::WHEN_GOES,
            _ => phrase::WHEN_CHANGES,
        };
        let mut reference = refer(dice, self, index, Hide::Nothing)?;
        reference.reveals.push(Fact::ActOf(index));
        let text = say(dice, templates, true, &[("{x}", &reference.words)]);
        let choices = (1..self.seconds).map(|second| second.to_string()).collect();
        let asks = vec![Fact::SecondOf(index)];
        Some(Draft::new(Kind::When, text, &second.to_string(), choices, asks, reference.reveals))
    }

    pub(super) fn becomes(&self, dice: &mut Dice, index: usize) -> Option<Draft> {
        let Act::Becomes(_, to, _) = self.objects[index].act else { return None };
        let mut reference = refer(dice, self, index, Hide::Nothing)?;
        reference.reveals.push(Fact::ActOf(index));
        let text = say(dice, phrase::BECOMES, true, &[("{x}", &reference.words)]);
        let choices = words(&Colour::ALL, Colour::name);
        Some(Draft::new(Kind::Becomes, text, to.name(), choices, vec![Fact::LastOf(index)], reference.reveals))
    }

    /// Of the mover in nine scenes of ten that have one, of something still in the others and in a few without a
    /// mover: then no answer stands out.
    pub(super) fn direction(&self, dice: &mut Dice) -> Option<Draft> {
        let mover = self.objects.iter().position(|object| matches!(object.act, Act::Moves(..)));
        let still: Vec<usize> =
            (0..self.objects.len()).filter(|index| self.objects[*index].act == Act::Still).collect();
        let index = match mover {
            Some(index) if still.is_empty() || !self.seed.is_multiple_of(10) => index,
            None if !self.is_clip() || still.is_empty() || !self.seed.is_multiple_of(24) => return None,
            _ => still[dice.below(still.len())],
        };
        let answer = match self.objects[index].act {
            Act::Moves(direction, _) => direction.name(),
            _ => "still",
        };
        let reference = refer(dice, self, index, Hide::Nothing)?;
        let text = say(dice, phrase::DIRECTION, true, &[("{x}", &reference.words)]);
        let mut choices = words(&Direction::ALL, Direction::name);
        choices.push("still".to_string());
        let asks = vec![Fact::Way, Fact::ActOf(index)];
        Some(Draft::new(Kind::Direction, text, answer, choices, asks, reference.reveals))
    }

    /// Of something that does something, in every fourth scene of something still; half of the scenes where nothing
    /// happens are not asked about.
    pub(super) fn event(&self, dice: &mut Dice) -> Option<Draft> {
        let (still, busy): (Vec<usize>, Vec<usize>) =
            (0..self.objects.len()).partition(|index| self.objects[*index].act == Act::Still);
        if !self.is_clip() || (busy.is_empty() && !self.seed.is_multiple_of(2)) {
            return None;
        }
        let rest = busy.is_empty() || (!still.is_empty() && self.seed.is_multiple_of(4));
        let from = if rest { still } else { busy };
        let index = from[dice.below(from.len())];
        let reference = refer(dice, self, index, Hide::Nothing)?;
        let text = say(dice, phrase::EVENT, true, &[("{x}", &reference.words)]);
        let choices = strings(&["stays still", "moves", "appears", "disappears", "changes colour"]);
        let mut asks = vec![Fact::ActOf(index)];
        asks.extend(rest.then_some(Fact::Stillness));
        Some(Draft::new(Kind::Event, text, self.objects[index].act.words(), choices, asks, reference.reveals))
    }

    pub(super) fn order(&self, dice: &mut Dice) -> Option<Draft> {
        let coming = self.objects.iter().any(|object| matches!(object.act, Act::Appears(_)));
        let mut pair: Vec<(usize, u32)> = Vec::new();
        for (index, object) in self.objects.iter().enumerate() {
            match object.act {
                Act::Appears(second) if coming => pair.push((index, second)),
                Act::Disappears(second) if !coming => pair.push((index, second)),
                _ => {}
            }
        }
        dice.shuffle(&mut pair);
        let [(first, sooner), (second, later), ..] = pair[..] else { return None };
        let names = [full_name(self, first), full_name(self, second)].map(|name| format!("the {name}"));
        let templates = if coming { phrase::FIRST_TO_APPEAR } else { phrase::FIRST_TO_GO };
        let text = say(dice, templates, true, &[("{a}", &names[0]), ("{b}", &names[1])]);
        let answer = &names[usize::from(later < sooner)];
        let asks = vec![Fact::SecondOf(first), Fact::SecondOf(second)];
        let mut reveals = vec![Fact::Mention];
        for index in [first, second] {
            reveals.extend([Fact::ColourOf(index), Fact::ShapeOf(index), Fact::ActOf(index)]);
        }
        Some(Draft::new(Kind::Order, text, answer, names.to_vec(), asks, reveals))
    }
}
