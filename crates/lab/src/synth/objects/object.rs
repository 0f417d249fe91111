//! One object of a scene and its state at any frame.

use super::color::Color;
use super::motion::{FRAMES_PER_SECOND, Motion};
use super::shape::Shape;

/// One object of a scene.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its shape.
    pub shape: Shape,
    /// Name of its color at the start.
    pub color: Color,
    /// The RGB shade of that color it is filled with.
    pub fill: [u8; 3],
    /// Its center at the start, in pixels.
    pub center: (f32, f32),
    /// Half its extent, in pixels.
    pub radius: f32,
    /// Its rotation in radians.
    pub angle: f32,
    /// What it does.
    pub motion: Motion,
}

impl Object {
    /// Name of its color at the end.
    pub fn final_color(&self) -> Color {
        if let Motion::Becomes(_, color, _) = self.motion { color } else { self.color }
    }

    /// Its RGB shade at frame `index`; `None` while it is absent.
    pub fn fill_at(&self, index: usize) -> Option<[u8; 3]> {
        let reached = |second: u32| index >= (second * FRAMES_PER_SECOND) as usize;
        match self.motion {
            Motion::Appears(second) => reached(second).then_some(self.fill),
            Motion::Disappears(second) => (!reached(second)).then_some(self.fill),
            Motion::Becomes(second, _, fill) if reached(second) => Some(fill),
            _ => Some(self.fill),
        }
    }

    /// Name of its color at frame `index`; `None` while it is absent.
    pub fn color_at(&self, index: usize) -> Option<Color> {
        let fill = self.fill_at(index)?;
        Some(match self.motion {
            Motion::Becomes(_, color, after) if fill == after => color,
            _ => self.color,
        })
    }

    /// Its center at frame `index` of a clip of `frames` frames, in pixels.
    pub fn center_at(&self, index: usize, frames: usize) -> (f32, f32) {
        match self.motion {
            Motion::Moves(_, (x, y)) => {
                let share = index as f32 / frames.saturating_sub(1).max(1) as f32;
                (self.center.0 + (x - self.center.0) * share, self.center.1 + (y - self.center.1) * share)
            }
            _ => self.center,
        }
    }
}
