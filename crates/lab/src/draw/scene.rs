//! A scene: what is on the canvas and what happens to it. Everything a question may ask is a field here.

use zoetrope_media::{Frame, Time};

use super::backdrop::Backdrop;
use super::dice::scatter;
use super::paint::paint;
use super::shape::{Colour, Direction, Shape};

/// Frames a second of a drawn clip.
pub const FRAMES_A_SECOND: u32 = 10;

/// What an object does during a clip. Events at second `s` take effect with the frame whose time is exactly `s`, so
/// that every frame of the slot `s..s + 1` shows the same state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// Nothing.
    Still,
    /// Goes in a straight line at an even pace over the whole clip, to the given end (pixels).
    Moves(Direction, (f32, f32)),
    /// Is not there before this second.
    Appears(u32),
    /// Is not there from this second on.
    Disappears(u32),
    /// Has from this second on this colour (name, shade).
    Becomes(u32, Colour, [u8; 3]),
}

impl Act {
    /// The words that answer "what does it do?".
    pub fn words(&self) -> &'static str {
        match self {
            Act::Still => "stays still",
            Act::Moves(..) => "moves",
            Act::Appears(_) => "appears",
            Act::Disappears(_) => "disappears",
            Act::Becomes(..) => "changes colour",
        }
    }

    /// The second of the event, when there is one.
    pub fn second(&self) -> Option<u32> {
        match self {
            Act::Appears(second) | Act::Disappears(second) | Act::Becomes(second, ..) => Some(*second),
            Act::Still | Act::Moves(..) => None,
        }
    }
}

/// One drawn thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its shape.
    pub shape: Shape,
    /// Its colour (at the start).
    pub colour: Colour,
    /// The shade of that colour it is painted with.
    pub fill: [u8; 3],
    /// Where its middle is at the start, in pixels.
    pub centre: (f32, f32),
    /// Half its extent, in pixels.
    pub radius: f32,
    /// Its tilt in radians.
    pub angle: f32,
    /// What it does.
    pub act: Act,
}

impl Object {
    /// The colour at the end.
    pub fn last_colour(&self) -> Colour {
        if let Act::Becomes(_, colour, _) = self.act { colour } else { self.colour }
    }

    /// The shade at frame `index`; `None` when the object is not there.
    pub fn fill_at(&self, index: usize) -> Option<[u8; 3]> {
        let reached = |second: u32| index >= (second * FRAMES_A_SECOND) as usize;
        match self.act {
            Act::Appears(second) => reached(second).then_some(self.fill),
            Act::Disappears(second) => (!reached(second)).then_some(self.fill),
            Act::Becomes(second, _, fill) if reached(second) => Some(fill),
            _ => Some(self.fill),
        }
    }

    /// The name of the colour at frame `index`; `None` when the object is not there.
    pub fn colour_at(&self, index: usize) -> Option<Colour> {
        let fill = self.fill_at(index)?;
        Some(match self.act {
            Act::Becomes(_, colour, after) if fill == after => colour,
            _ => self.colour,
        })
    }

    /// The middle at frame `index`, in pixels.
    pub fn centre_at(&self, scene: &Scene, index: usize) -> (f32, f32) {
        match self.act {
            Act::Moves(_, (x, y)) => {
                let share = index as f32 / scene.frames().saturating_sub(1).max(1) as f32;
                (self.centre.0 + (x - self.centre.0) * share, self.centre.1 + (y - self.centre.1) * share)
            }
            _ => self.centre,
        }
    }
}

/// What a scene was made to be counted by: how many objects have this shape or this colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// A shape that was given to a chosen number of objects.
    Shape(Shape),
    /// A colour that was given to a chosen number of objects.
    Colour(Colour),
}

/// A picture or a clip that can be drawn at any frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Width of the canvas in pixels.
    pub width: u32,
    /// Height of the canvas in pixels.
    pub height: u32,
    /// Length in whole seconds; 0 for a picture.
    pub seconds: u32,
    /// What is on it; the places never overlap, at any time.
    pub objects: Vec<Object>,
    /// What is behind it.
    pub backdrop: Backdrop,
    /// Largest noise in 8-bit levels; 0 for a clean scene.
    pub grain: u8,
    /// Seed of the grain.
    pub seed: u64,
    /// What it was made to be counted by, if anything.
    pub theme: Option<Theme>,
}

impl Scene {
    /// Whether this is a clip (otherwise one picture).
    pub fn is_clip(&self) -> bool {
        self.seconds > 0
    }

    /// Number of frames; 1 for a picture.
    pub fn frames(&self) -> usize {
        (self.seconds * FRAMES_A_SECOND).max(1) as usize
    }

    /// Presentation times of all frames; zero for a picture.
    pub fn times(&self) -> Vec<Time> {
        (0..self.frames() as i64).map(|index| Time::new(index, FRAMES_A_SECOND)).collect()
    }

    /// End of the last frame in seconds; zero for a picture.
    pub fn end(&self) -> f64 {
        f64::from(self.seconds)
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Frame `index`, drawn now; an index past the end shows the state after the end.
    pub fn frame(&self, index: usize) -> Frame {
        Frame { index, time: Time::new(index as i64, FRAMES_A_SECOND), image: paint(self, index) }
    }

    /// A number that depends on what can be asked of the scene and on nothing else: picture or clip and its length,
    /// and of every object shape, colour, cell of a 3 x 3 grid and act with its second; in any order of the objects.
    pub fn fingerprint(&self) -> u64 {
        let mut parts: Vec<u64> = self.objects.iter().map(|object| self.object_print(object)).collect();
        parts.sort_unstable();
        parts.iter().fold(scatter(u64::from(self.seconds)), |hash, part| scatter(hash ^ part).wrapping_add(*part))
    }

    fn object_print(&self, object: &Object) -> u64 {
        let (act, detail) = match object.act {
            Act::Still => (0, 0),
            Act::Moves(direction, _) => (1, direction as u64),
            Act::Appears(second) => (2, u64::from(second)),
            Act::Disappears(second) => (3, u64::from(second)),
            Act::Becomes(second, colour, _) => (4, u64::from(second) * 16 + colour as u64),
        };
        let (column, row) = self.cell(object.centre);
        let fields = [object.shape as u64, object.colour as u64, column as u64, row as u64, act, detail];
        fields.iter().fold(1, |hash, field| scatter(hash ^ (field + 0x51)))
    }

    /// Column and row (0..3 each) of the 3 x 3 grid that a point lies in.
    pub fn cell(&self, (x, y): (f32, f32)) -> (usize, usize) {
        let third = |at: f32, size: u32| ((at * 3.0 / size as f32).max(0.0) as usize).min(2);
        (third(x, self.width), third(y, self.height))
    }
}
