//! Questions about a scene whose answers are certain: kinds, answers, the possible answers and the level of chance.

use super::dice::Dice;
use super::facts::{Fact, Hide, absent, fits_any, full_name, indefinite, name_words, refer};
use super::phrase;
use super::phrase::{article, say};
use super::place::PLACE_MARGIN;
use super::program::MOST_OBJECTS;
use super::scene::{Act, Object, Scene, Theme};
use super::shape::{Colour, Direction, Shape};

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The colour of an object.
    Colour,
    /// The shape of an object.
    Shape,
    /// How many objects, or how many of a shape or colour.
    Count,
    /// Where an object is, in words of a 3 x 3 grid.
    Place,
    /// Whether something is there (yes or no).
    Exists,
    /// The way an object moves.
    Direction,
    /// Which of two comes or goes first.
    Order,
    /// The second of an event.
    When,
    /// What an object does.
    Event,
    /// The colour an object changes to.
    Becomes,
    /// A question about something that is not there; the honest answer says so.
    Absent,
    /// Everything there is, from left to right.
    Describe,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 12] = [
        Kind::Colour,
        Kind::Shape,
        Kind::Count,
        Kind::Place,
        Kind::Exists,
        Kind::Direction,
        Kind::Order,
        Kind::When,
        Kind::Event,
        Kind::Becomes,
        Kind::Absent,
        Kind::Describe,
    ];

    /// The word used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Colour => "colour",
            Kind::Shape => "shape",
            Kind::Count => "count",
            Kind::Place => "place",
            Kind::Exists => "exists",
            Kind::Direction => "direction",
            Kind::Order => "order",
            Kind::When => "when",
            Kind::Event => "event",
            Kind::Becomes => "becomes",
            Kind::Absent => "absent",
            Kind::Describe => "describe",
        }
    }

    /// The kind of this name; what the names are when there is none.
    pub fn named(name: &str) -> Result<Kind, String> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names = Kind::ALL.map(Kind::name).join(", ");
            format!("no question kind is called {name}; there are {names}")
        })
    }

    /// How often the kind is asked where it can be, relative to the others.
    fn weight(self) -> f32 {
        match self {
            Kind::Absent => 0.5,
            Kind::Describe => 0.6,
            _ => 1.0,
        }
    }
}

/// A question with its one right answer.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Question {
    /// What it is about.
    pub kind: Kind,
    /// The question as a person would type it.
    pub text: String,
    /// The answer, lower case, without a final mark.
    pub answer: String,
    /// All answers that one who has not looked must reckon with; empty when they are too many to list.
    pub choices: Vec<String>,
    /// Share of right answers of one who guesses.
    pub chance: f64,
}

/// A question with what it asks and what it gives away.
pub(super) struct Draft {
    question: Question,
    asks: Vec<Fact>,
    reveals: Vec<Fact>,
}

impl Draft {
    /// The answer reveals what was asked, the wording what `reveals` says.
    pub(super) fn new(
        kind: Kind,
        text: String,
        answer: &str,
        choices: Vec<String>,
        asks: Vec<Fact>,
        reveals: Vec<Fact>,
    ) -> Draft {
        let chance = 1.0 / choices.len().max(1) as f64;
        let mut reveals = reveals;
        reveals.extend(asks.iter().filter(|fact| **fact != Fact::Mention));
        Draft { question: Question { kind, text, answer: answer.to_string(), choices, chance }, asks, reveals }
    }
}

pub(super) fn words<T: Copy>(items: &[T], name: fn(T) -> &'static str) -> Vec<String> {
    items.iter().map(|item| name(*item).to_string()).collect()
}

pub(super) fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| item.to_string()).collect()
}

const PLACES: [[&str; 3]; 3] =
    [["top left", "top", "top right"], ["left", "center", "right"], ["bottom left", "bottom", "bottom right"]];
/// Least distance of two objects, in pixels across, for "from left to right" to be plain.
const DESCRIBE_GAP: f32 = 22.0;

impl Scene {
    /// The word for where a point is; `None` near the lines of the 3 x 3 grid.
    pub fn place_word(&self, (x, y): (f32, f32)) -> Option<&'static str> {
        let clear = |at: f32, size: u32| {
            let share = at / size as f32;
            (share - 1.0 / 3.0).abs() >= PLACE_MARGIN && (share - 2.0 / 3.0).abs() >= PLACE_MARGIN
        };
        let (column, row) = self.cell((x, y));
        (clear(x, self.width) && clear(y, self.height)).then_some(PLACES[row][column])
    }

    /// Up to `turns` questions of `kinds` for one conversation: no question can be answered from the turns before it.
    pub fn conversation(&self, dice: &mut Dice, kinds: &[Kind], turns: usize) -> Vec<Question> {
        let mut known: Vec<Fact> = Vec::new();
        let mut asked: Vec<Question> = Vec::new();
        while asked.len() < turns {
            let Some(draft) = self.pick(dice, kinds, &known) else { break };
            known.extend(draft.reveals);
            asked.push(draft.question);
        }
        asked
    }

    /// Up to `n` different questions of `kinds`, each for a conversation of its own.
    pub fn questions(&self, dice: &mut Dice, kinds: &[Kind], n: usize) -> Vec<Question> {
        let mut asked: Vec<Question> = Vec::new();
        for _ in 0..4 * n {
            if asked.len() == n {
                break;
            }
            let Some(draft) = self.pick(dice, kinds, &[]) else { break };
            if asked.iter().all(|question| question.text != draft.question.text) {
                asked.push(draft.question);
            }
        }
        asked
    }

    fn pick(&self, dice: &mut Dice, kinds: &[Kind], known: &[Fact]) -> Option<Draft> {
        let mut rolled: Vec<Draft> = Vec::new();
        let mut weights: Vec<f32> = Vec::new();
        for kind in kinds {
            let mut drafts = self.drafts(dice, *kind);
            drafts.retain(|draft| draft.asks.iter().all(|fact| !known.contains(fact)));
            if !drafts.is_empty() {
                rolled.push(drafts.swap_remove(dice.below(drafts.len())));
                weights.push(kind.weight());
            }
        }
        if rolled.is_empty() { None } else { Some(rolled.swap_remove(dice.weighted(&weights))) }
    }

    fn drafts(&self, dice: &mut Dice, kind: Kind) -> Vec<Draft> {
        let every = 0..self.objects.len();
        match kind {
            Kind::Colour => every.filter_map(|index| self.colour(dice, index)).collect(),
            Kind::Shape => every.filter_map(|index| self.shape(dice, index)).collect(),
            Kind::Place => every.filter_map(|index| self.place(dice, index)).collect(),
            Kind::When => every.filter_map(|index| self.when(dice, index)).collect(),
            Kind::Becomes => every.filter_map(|index| self.becomes(dice, index)).collect(),
            Kind::Count => self.count(dice).into_iter().collect(),
            Kind::Exists => self.exists(dice).into_iter().collect(),
            Kind::Direction => self.direction(dice).into_iter().collect(),
            Kind::Event => self.event(dice).into_iter().collect(),
            Kind::Order => self.order(dice).into_iter().collect(),
            Kind::Absent => self.absent(dice).into_iter().collect(),
            Kind::Describe => self.describe(dice).into_iter().collect(),
        }
    }

    fn colour(&self, dice: &mut Dice, index: usize) -> Option<Draft> {
        let object = &self.objects[index];
        if matches!(object.act, Act::Becomes(..)) {
            return None;
        }
        let reference = refer(dice, self, index, Hide::Colour)?;
        let text = say(dice, phrase::COLOUR, self.is_clip(), &[("{x}", &reference.words)]);
        let choices = words(&Colour::ALL, Colour::name);
        let asks = vec![Fact::ColourOf(index)];
        Some(Draft::new(Kind::Colour, text, object.colour.name(), choices, asks, reference.reveals))
    }

    fn shape(&self, dice: &mut Dice, index: usize) -> Option<Draft> {
        let reference = refer(dice, self, index, Hide::Shape)?;
        let text = say(dice, phrase::SHAPE, self.is_clip(), &[("{x}", &reference.words)]);
        let choices = words(&Shape::ALL, Shape::name);
        let asks = vec![Fact::ShapeOf(index)];
        Some(Draft::new(Kind::Shape, text, self.objects[index].shape.name(), choices, asks, reference.reveals))
    }

    fn place(&self, dice: &mut Dice, index: usize) -> Option<Draft> {
        let object = &self.objects[index];
        if matches!(object.act, Act::Moves(..)) {
            return None;
        }
        let answer = self.place_word(object.centre)?;
        let reference = refer(dice, self, index, Hide::Nothing)?;
        let text = say(dice, phrase::PLACE, self.is_clip(), &[("{x}", &reference.words)]);
        let choices = strings(PLACES.as_flattened());
        Some(Draft::new(Kind::Place, text, answer, choices, vec![Fact::PlaceOf(index)], reference.reveals))
    }

    /// How many objects at all, or of the scene's theme (whose number was chosen evenly).
    fn count(&self, dice: &mut Dice) -> Option<Draft> {
        if self.objects.iter().any(|object| matches!(object.act, Act::Appears(_) | Act::Disappears(_))) {
            return None;
        }
        let number = |test: &dyn Fn(&Object) -> bool| self.objects.iter().filter(|object| test(object)).count();
        let (what, number, asked) = match self.theme {
            Some(Theme::Shape(shape)) => {
                (shape.plural().to_string(), number(&|object| object.shape == shape), Fact::Themed)
            }
            Some(Theme::Colour(colour)) => {
                let noun = dice.pick(&["objects", "things", "shapes"]);
                (format!("{} {noun}", colour.name()), number(&|object| object.colour == colour), Fact::Themed)
            }
            None => (String::new(), self.objects.len(), Fact::Total),
        };
        let templates = if self.theme.is_some() { phrase::COUNT } else { phrase::COUNT_ALL };
        let text = say(dice, templates, self.is_clip(), &[("{x}", &what)]);
        let fewest = usize::from(self.theme.is_none());
        let choices = (fewest..=MOST_OBJECTS).map(|number| number.to_string()).collect();
        Some(Draft::new(Kind::Count, text, &number.to_string(), choices, vec![Fact::Mention, asked], vec![]))
    }

    fn exists(&self, dice: &mut Dice) -> Option<Draft> {
        let (name, answer) = if dice.chance(0.5) {
            let object = &self.objects[dice.below(self.objects.len())];
            if matches!(object.act, Act::Becomes(..)) {
                return None;
            }
            let name = match dice.weighted(&[0.6, 0.25, 0.15]) {
                0 => (Some(object.colour), Some(object.shape)),
                1 => (None, Some(object.shape)),
                _ => (Some(object.colour), None),
            };
            (name, "yes")
        } else {
            ((0..8).find_map(|_| absent(dice, self))?, "no")
        };
        let text = say(dice, phrase::EXISTS, self.is_clip(), &[("{a}", &indefinite(name))]);
        let asks = vec![Fact::Mention, Fact::Named(name.0, name.1)];
        let mut draft = Draft::new(Kind::Exists, text, answer, strings(&["yes", "no"]), asks, vec![]);
        if answer == "yes" {
            draft.reveals.push(Fact::Mention);
            let fits = |object: &Object| {
                name.0.is_none_or(|colour| colour == object.colour) && name.1.is_none_or(|shape| shape == object.shape)
            };
            for index in (0..self.objects.len()).filter(|index| fits(&self.objects[*index])) {
                draft.reveals.extend(name.0.map(|_| Fact::ColourOf(index)));
                draft.reveals.extend(name.1.map(|_| Fact::ShapeOf(index)));
            }
        }
        Some(draft)
    }

    /// An ordinary question about something that is not there.
    fn absent(&self, dice: &mut Dice) -> Option<Draft> {
        let name = absent(dice, self)?;
        if fits_any(self, name) {
            return None;
        }
        let mut options = vec![(phrase::PLACE, strings(PLACES.as_flattened()))];
        if name.0.is_none() {
            options.push((phrase::COLOUR, words(&Colour::ALL, Colour::name)));
        }
        if name.1.is_none() {
            options.push((phrase::SHAPE, words(&Shape::ALL, Shape::name)));
        }
        if self.is_clip() {
            options.push((phrase::DIRECTION, words(&Direction::ALL, Direction::name)));
            options
                .push((phrase::EVENT, strings(&["stays still", "moves", "appears", "disappears", "changes colour"])));
        }
        let (templates, mut choices) = options.swap_remove(dice.below(options.len()));
        let thing = name_words(name);
        let text = say(dice, templates, self.is_clip(), &[("{x}", &format!("the {thing}"))]);
        let answer = format!("there is no {thing}");
        choices.push(answer.clone());
        let asks = vec![Fact::Absence, Fact::Named(name.0, name.1)];
        Some(Draft::new(Kind::Absent, text, &answer, choices, asks, vec![]))
    }

    fn describe(&self, dice: &mut Dice) -> Option<Draft> {
        let mut order: Vec<usize> = (0..self.objects.len()).collect();
        order.sort_by(|a, b| self.objects[*a].centre.0.total_cmp(&self.objects[*b].centre.0));
        let across = |index: usize| self.objects[index].centre.0;
        let plain = order.windows(2).all(|pair| across(pair[1]) - across(pair[0]) >= DESCRIBE_GAP);
        if !plain || (self.is_clip() && order.len() > 2) {
            return None;
        }
        let parts: Vec<String> = order.iter().map(|index| self.describe_one(*index)).collect();
        let templates = if self.is_clip() { phrase::DESCRIBE_CLIP } else { phrase::DESCRIBE_PICTURE };
        let text = say(dice, templates, self.is_clip(), &[]);
        let mut asks = vec![Fact::Mention, Fact::Total];
        let mut reveals = vec![Fact::Mention, Fact::Themed];
        for index in order {
            asks.extend([Fact::ColourOf(index), Fact::ShapeOf(index)]);
            reveals.extend([Fact::ActOf(index), Fact::Way, Fact::LastOf(index)]);
        }
        let mut draft = Draft::new(Kind::Describe, text, &parts.join(", "), Vec::new(), asks, reveals);
        let names = (Colour::ALL.len() * Shape::ALL.len()) as f64;
        draft.question.chance = names.powi(-(self.objects.len() as i32));
        Some(draft)
    }

    fn describe_one(&self, index: usize) -> String {
        let object = &self.objects[index];
        let name = full_name(self, index);
        let name = format!("{} {name}", article(&name));
        match object.act {
            Act::Still => name,
            Act::Moves(direction, _) => format!("{name} moves {}", direction.name()),
            Act::Becomes(_, to, _) => format!("{name} becomes {}", to.name()),
            _ => format!("{name} {}", object.act.words()),
        }
    }
}
