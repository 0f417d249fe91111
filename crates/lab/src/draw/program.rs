//! How a scene comes about: split, difficulty, a program of acts, attributes, places, backdrop.

use std::ops::RangeInclusive;

use super::ask::Kind;
use super::backdrop::Backdrop;
use super::dice::Dice;
use super::place::layout;
use super::scene::{Act, Object, Scene, Theme};
use super::shape::{Colour, Direction, Shape};

/// Which side of the wall between training and measuring a scene is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Seven fingerprints of eight.
    Train,
    /// One fingerprint of eight; never trained on.
    HeldOut,
}

impl Split {
    /// The side a fingerprint is on.
    pub fn of(fingerprint: u64) -> Split {
        if fingerprint.is_multiple_of(8) { Split::HeldOut } else { Split::Train }
    }

    fn domain(self) -> &'static str {
        match self {
            Split::Train => "drawn/train",
            Split::HeldOut => "drawn/held-out",
        }
    }
}

/// Most objects of a scene.
pub const MOST_OBJECTS: usize = 2;

/// How hard drawn scenes are; training goes from easy to full.
#[derive(Clone, Debug, PartialEq)]
pub struct Difficulty {
    /// Number of objects of a picture, within `1..=MOST_OBJECTS`.
    pub objects: RangeInclusive<usize>,
    /// Number of objects of a clip, within `1..=MOST_OBJECTS`.
    pub clip_objects: RangeInclusive<usize>,
    /// Share of clips among the scenes; the others are pictures.
    pub clips: f32,
    /// Length of a clip in whole seconds, at least 2.
    pub seconds: RangeInclusive<u32>,
    /// What may be asked.
    pub kinds: Vec<Kind>,
    /// Share of scenes with grain.
    pub grain: f32,
    /// Share of scenes on a canvas that is not 224 x 224.
    pub odd_sizes: f32,
}

impl Difficulty {
    /// Pictures of one object on a square canvas.
    pub fn one_object() -> Difficulty {
        Difficulty { objects: 1..=1, clips: 0.0, odd_sizes: 0.0, ..Difficulty::full() }
    }

    /// Pictures of one or two objects.
    pub fn pictures() -> Difficulty {
        Difficulty { clips: 0.0, ..Difficulty::full() }
    }

    /// Clips of one object on a square canvas.
    pub fn easy_clips() -> Difficulty {
        Difficulty { clip_objects: 1..=1, clips: 1.0, odd_sizes: 0.0, ..Difficulty::full() }
    }

    /// Clips of one or two objects.
    pub fn clips() -> Difficulty {
        Difficulty { clips: 1.0, ..Difficulty::full() }
    }

    /// The difficulty of this name; what the names are when there is none.
    pub fn named(name: &str) -> Result<Difficulty, String> {
        match name {
            "one_object" => Ok(Difficulty::one_object()),
            "pictures" => Ok(Difficulty::pictures()),
            "easy_clips" => Ok(Difficulty::easy_clips()),
            "clips" => Ok(Difficulty::clips()),
            "full" => Ok(Difficulty::full()),
            other => Err(format!(
                "no drawn material is called {other}; there are one_object, pictures, easy_clips, clips and full"
            )),
        }
    }

    /// All of these, with questions of all kinds; what the held-out set is drawn from.
    pub fn full() -> Difficulty {
        Difficulty {
            objects: 1..=MOST_OBJECTS,
            clip_objects: 1..=MOST_OBJECTS,
            clips: 0.6,
            seconds: 4..=5,
            kinds: Kind::ALL.to_vec(),
            grain: 0.3,
            odd_sizes: 0.1,
        }
    }
}

/// What happens in a clip as a whole.
#[derive(Clone, Copy, PartialEq)]
enum Program {
    Still,
    Move,
    Appear,
    AppearInTurn,
    Disappear,
    DisappearInTurn,
    Become,
    Mixed,
}

const PROGRAMS: [(Program, f32); 8] = [
    (Program::Still, 0.06),
    (Program::Move, 0.24),
    (Program::Appear, 0.10),
    (Program::AppearInTurn, 0.12),
    (Program::Disappear, 0.10),
    (Program::DisappearInTurn, 0.10),
    (Program::Become, 0.22),
    (Program::Mixed, 0.12),
];

const ODD_SIZES: [(u32, u32); 6] = [(224, 168), (168, 224), (280, 224), (224, 280), (280, 168), (256, 192)];

impl Scene {
    /// The scene of `seed` in `split`.
    pub fn new(split: Split, seed: u64, difficulty: &Difficulty) -> Scene {
        let mut dice = Dice::new(split.domain(), seed);
        loop {
            if let Some(scene) = attempt(&mut dice, difficulty)
                && Split::of(scene.fingerprint()) == split
            {
                return scene;
            }
        }
    }
}

fn attempt(dice: &mut Dice, difficulty: &Difficulty) -> Option<Scene> {
    let (width, height) = if dice.chance(difficulty.odd_sizes) { dice.pick(&ODD_SIZES) } else { (224, 224) };
    let clip = dice.chance(difficulty.clips);
    let range = (*difficulty.seconds.start() as usize, *difficulty.seconds.end() as usize);
    let seconds = if clip { dice.within(range.0.max(2), range.1.max(2)) as u32 } else { 0 };
    let objects = if clip { &difficulty.clip_objects } else { &difficulty.objects };
    let (fewest, most) = (*objects.start(), *objects.end());
    let (fewest, most) = (fewest.max(1), most.clamp(1, MOST_OBJECTS));
    let program = if clip { PROGRAMS[dice.weighted(&PROGRAMS.map(|(_, weight)| weight))].0 } else { Program::Still };
    let countable = matches!(program, Program::Still | Program::Move);
    let theme = (countable && dice.chance(0.45)).then(|| roll_theme(dice));
    let having = dice.within(0, most);
    let count = if theme.is_some() { dice.within(fewest.max(having), most) } else { dice.within(fewest, most) };
    let objects = (0..200).find_map(|_| {
        let acts = acts(dice, program, count, seconds)?;
        let names = names(dice, theme, having, count)?;
        furnish(dice, (width, height), &names, acts)
    })?;
    let mut fills: Vec<[u8; 3]> = objects.iter().map(|object| object.fill).collect();
    fills.extend(objects.iter().filter_map(|object| match object.act {
        Act::Becomes(_, _, fill) => Some(fill),
        _ => None,
    }));
    let backdrop = Backdrop::roll(dice, &fills);
    let grain = if dice.chance(difficulty.grain) { dice.within(2, 6) as u8 } else { 0 };
    Some(Scene { width, height, seconds, objects, backdrop, grain, seed: dice.word(), theme })
}

/// What each of `count` objects does. Seconds of events differ from each other.
fn acts(dice: &mut Dice, program: Program, count: usize, seconds: u32) -> Option<Vec<Act>> {
    let mut moments: Vec<u32> = (1..seconds).collect();
    dice.shuffle(&mut moments);
    let mut acts = vec![Act::Still; count];
    let in_turn = dice.within(2, 3).min(count).min(moments.len());
    let rest = (0.0, 0.0);
    match program {
        Program::Still => {}
        Program::Move => acts[0] = Act::Moves(dice.pick(&Direction::ALL), rest),
        Program::Appear => acts[0] = Act::Appears(*moments.first()?),
        Program::Disappear => acts[0] = Act::Disappears(*moments.first()?),
        Program::Become => acts[0] = Act::Becomes(*moments.first()?, dice.pick(&Colour::ALL), [0; 3]),
        Program::AppearInTurn => (0..in_turn).for_each(|k| acts[k] = Act::Appears(moments[k])),
        Program::DisappearInTurn => (0..in_turn).for_each(|k| acts[k] = Act::Disappears(moments[k])),
        Program::Mixed => {
            let mut choices = [0, 1, 2, 3, 4];
            dice.shuffle(&mut choices);
            for (act, choice) in acts.iter_mut().zip(choices) {
                *act = match choice {
                    0 => Act::Still,
                    1 => Act::Moves(dice.pick(&Direction::ALL), rest),
                    2 => Act::Appears(moments.pop()?),
                    3 => Act::Disappears(moments.pop()?),
                    _ => Act::Becomes(moments.pop()?, dice.pick(&Colour::ALL), [0; 3]),
                };
            }
        }
    }
    dice.shuffle(&mut acts);
    Some(acts)
}

fn roll_theme(dice: &mut Dice) -> Theme {
    if dice.chance(0.7) { Theme::Shape(dice.pick(&Shape::ALL)) } else { Theme::Colour(dice.pick(&Colour::ALL)) }
}

/// Shapes and colours of `count` objects, no two alike in both. With a theme, `having` of them have it; otherwise
/// all shapes and all colours are different.
fn names(dice: &mut Dice, theme: Option<Theme>, having: usize, count: usize) -> Option<Vec<(Shape, Colour)>> {
    let (mut shapes, mut colours) = (Shape::ALL, Colour::ALL);
    dice.shuffle(&mut shapes);
    dice.shuffle(&mut colours);
    let mut names: Vec<(Shape, Colour)> = (0..count).map(|k| (shapes[k], colours[k])).collect();
    match theme {
        Some(Theme::Shape(shape)) => {
            let others: Vec<Shape> = Shape::ALL.into_iter().filter(|other| *other != shape).collect();
            names.iter_mut().for_each(|name| name.0 = dice.pick(&others));
            names[..having].iter_mut().for_each(|name| name.0 = shape);
        }
        Some(Theme::Colour(colour)) => {
            let others: Vec<Colour> = Colour::ALL.into_iter().filter(|other| *other != colour).collect();
            names.iter_mut().for_each(|name| name.1 = dice.pick(&others));
            names[..having].iter_mut().for_each(|name| name.1 = colour);
        }
        None => {}
    }
    dice.shuffle(&mut names);
    let twin = (1..count).any(|k| names[..k].contains(&names[k]));
    (!twin).then_some(names)
}

/// Least and greatest half extent of an object, in pixels.
const RADII: (f32, f32) = (36.0, 48.0);

/// Objects with places and shades; `None` when they do not fit or a change of colour makes two objects alike.
fn furnish(dice: &mut Dice, size: (u32, u32), names: &[(Shape, Colour)], acts: Vec<Act>) -> Option<Vec<Object>> {
    let radii: Vec<f32> = names.iter().map(|_| dice.between(RADII.0, RADII.1)).collect();
    let spots = (0..6).find_map(|_| layout(dice, size, &radii, &acts))?;
    let mut objects = Vec::with_capacity(names.len());
    for (index, (&(shape, colour), act)) in names.iter().zip(acts).enumerate() {
        let act = match act {
            Act::Moves(direction, _) => Act::Moves(direction, spots[index].to),
            Act::Becomes(second, to, _) => Act::Becomes(second, to, to.shade(dice)),
            other => other,
        };
        let fill = colour.shade(dice);
        let angle = dice.between(-0.14, 0.14);
        objects.push(Object { shape, colour, fill, centre: spots[index].from, radius: radii[index], angle, act });
    }
    let alike = |k: usize, other: usize| {
        let (a, b) = (&objects[k], &objects[other]);
        k != other && a.shape == b.shape && a.last_colour() == b.colour
    };
    let stale = |object: &Object| matches!(object.act, Act::Becomes(..)) && object.last_colour() == object.colour;
    let clash = (0..objects.len()).any(|k| stale(&objects[k]) || (0..objects.len()).any(|other| alike(k, other)));
    (!clash).then_some(objects)
}
