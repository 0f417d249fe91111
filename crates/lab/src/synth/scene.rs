//! A scene: the objects on the canvas and what happens to them. Everything a question may ask is a field here.

use zoetrope_media::Time;

use super::backdrop::Backdrop;
use super::objects::color::Color;
use super::objects::motion::{FRAMES_PER_SECOND, Motion};
use super::objects::object::Object;
use super::objects::shape::Shape;
use super::rng::mix64;

/// Most objects of a scene.
pub const MAX_OBJECTS: usize = 2;

/// The attribute that a counting question about a scene asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// A shape that a chosen number of objects have.
    Shape(Shape),
    /// A color that a chosen number of objects have.
    Color(Color),
}

/// A picture or a clip whose every frame can be rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Width of the canvas in pixels.
    pub width: u32,
    /// Height of the canvas in pixels.
    pub height: u32,
    /// Duration in seconds; 0 for a picture.
    pub seconds: u32,
    /// The objects; they never overlap, at any time.
    pub objects: Vec<Object>,
    /// The background.
    pub backdrop: Backdrop,
    /// Amplitude of the film grain in 8-bit levels; 0 for none.
    pub grain: u8,
    /// Seed of the film grain.
    pub seed: u64,
    /// What a counting question asks for; `None` to count all objects.
    pub theme: Option<Theme>,
}

/// Names of the nine places of the 3 x 3 grid, row by row.
pub(super) const PLACE_NAMES: [[&str; 3]; 3] =
    [["top left", "top", "top right"], ["left", "center", "right"], ["bottom left", "bottom", "bottom right"]];
/// A point this close to a line of the 3 x 3 grid has no place name, as a share of the canvas.
pub(super) const PLACE_MARGIN: f32 = 0.055;

impl Scene {
    /// Whether this is a clip; otherwise it is one picture.
    pub fn is_clip(&self) -> bool {
        self.seconds > 0
    }

    /// Whether there is one object, which "it" can only mean.
    pub(super) fn is_of_one(&self) -> bool {
        self.objects.len() == 1
    }

    /// Number of frames; 1 for a picture.
    pub fn frames(&self) -> usize {
        (self.seconds * FRAMES_PER_SECOND).max(1) as usize
    }

    /// Presentation times of all frames; zero for a picture.
    pub fn times(&self) -> Vec<Time> {
        (0..self.frames() as i64).map(|index| Time::new(index, FRAMES_PER_SECOND)).collect()
    }

    /// End of the last frame in seconds; zero for a picture.
    pub fn end(&self) -> f64 {
        f64::from(self.seconds)
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// A hash of everything that questions ask about: the duration, and the shape, color, place and motion of each
    /// object. The order of the objects does not matter.
    pub fn fingerprint(&self) -> u64 {
        let mut hashes: Vec<u64> = self.objects.iter().map(|object| self.object_hash(object)).collect();
        hashes.sort_unstable();
        hashes.iter().fold(mix64(u64::from(self.seconds)), |all, hash| mix64(all ^ hash).wrapping_add(*hash))
    }

    fn object_hash(&self, object: &Object) -> u64 {
        let (motion, detail) = match object.motion {
            Motion::Still => (0, 0),
            Motion::Moves(direction, _) => (1, direction as u64),
            Motion::Appears(second) => (2, u64::from(second)),
            Motion::Disappears(second) => (3, u64::from(second)),
            Motion::Becomes(second, color, _) => (4, u64::from(second) * 16 + color as u64),
        };
        let (column, row) = self.place_at(object.center);
        let fields = [object.shape as u64, object.color as u64, column as u64, row as u64, motion, detail];
        fields.iter().fold(1, |hash, field| mix64(hash ^ (field + 0x51)))
    }

    /// Column and row, `0..3` each, of the place of the 3 x 3 grid that contains a point.
    pub fn place_at(&self, (x, y): (f32, f32)) -> (usize, usize) {
        let third = |at: f32, size: u32| ((at * 3.0 / size as f32).max(0.0) as usize).min(2);
        (third(x, self.width), third(y, self.height))
    }

    /// Name of the place of the 3 x 3 grid that contains a point; `None` close to a line of the grid.
    pub fn place_name(&self, (x, y): (f32, f32)) -> Option<&'static str> {
        let clear = |at: f32, size: u32| {
            let share = at / size as f32;
            (share - 1.0 / 3.0).abs() >= PLACE_MARGIN && (share - 2.0 / 3.0).abs() >= PLACE_MARGIN
        };
        let (column, row) = self.place_at((x, y));
        (clear(x, self.width) && clear(y, self.height)).then_some(PLACE_NAMES[row][column])
    }
}
