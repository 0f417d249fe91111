//! What an object does during a clip.

use super::color::Color;

/// Frame rate of a clip.
pub const FRAMES_PER_SECOND: u32 = 10;

/// What an object does during a clip. An event at second `s` takes effect with the frame whose time is exactly `s`, so
/// every frame in `s..s + 1` shows the same state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Motion {
    /// Nothing.
    Still,
    /// Moves in a straight line at constant speed over the whole clip, to the given end (pixels).
    Moves(Direction, (f32, f32)),
    /// Is absent before this second.
    Appears(u32),
    /// Is absent from this second on.
    Disappears(u32),
    /// Changes at this second to this color (name and RGB shade).
    Becomes(u32, Color, [u8; 3]),
}

impl Motion {
    /// The words that answer "what does it do?". Their spelling is part of the data that the committed model learned.
    pub fn verb(&self) -> &'static str {
        match self {
            Motion::Still => "stays still",
            Motion::Moves(..) => "moves",
            Motion::Appears(_) => "appears",
            Motion::Disappears(_) => "disappears",
            Motion::Becomes(..) => "changes colour",
        }
    }

    /// The second of the event; `None` without one.
    pub fn event_second(&self) -> Option<u32> {
        match self {
            Motion::Appears(second) | Motion::Disappears(second) | Motion::Becomes(second, ..) => Some(*second),
            Motion::Still | Motion::Moves(..) => None,
        }
    }
}

/// The direction in which an object moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Towards smaller x.
    Left,
    /// Towards larger x.
    Right,
    /// Towards smaller y.
    Up,
    /// Towards larger y.
    Down,
}

impl Direction {
    /// All directions.
    pub const ALL: [Direction; 4] = [Direction::Left, Direction::Right, Direction::Up, Direction::Down];

    /// The word for the direction, as answers use it.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Left => "left",
            Direction::Right => "right",
            Direction::Up => "up",
            Direction::Down => "down",
        }
    }
}
