//! What lies behind the objects: low-contrast, nearly grey surfaces that no object can be mistaken for.

use super::dice::Dice;
use super::shape::apart_squared;

/// A background surface.
#[derive(Clone, Debug, PartialEq)]
pub enum Backdrop {
    /// One colour.
    Plain([u8; 3]),
    /// A soft change from one colour to another, along `(x, y)` (a unit vector).
    Gradient([u8; 3], [u8; 3], (f32, f32)),
    /// Squares of the given side in pixels.
    Checker([u8; 3], [u8; 3], u32),
    /// Stripes of the given width in pixels; upright when the flag is set.
    Stripes([u8; 3], [u8; 3], u32, bool),
}

/// Least distance of an object's colour to every colour of the backdrop, in 8-bit levels over the three channels.
pub(super) const CONTRAST: u32 = 88;

/// A nearly grey colour of the given level.
fn surface(dice: &mut Dice, level: usize) -> [u8; 3] {
    std::array::from_fn(|_| (level + dice.below(25)).saturating_sub(12).min(255) as u8)
}

/// The same surface, a little lighter or darker.
fn near(dice: &mut Dice, from: [u8; 3], most: usize) -> [u8; 3] {
    let shift = dice.within(8, most) as i32 * if dice.chance(0.5) { 1 } else { -1 };
    from.map(|level| (i32::from(level) + shift).clamp(0, 255) as u8)
}

impl Backdrop {
    /// A surface against which every colour of `fills` stands out; of sixty tries the best when none is perfect.
    pub fn roll(dice: &mut Dice, fills: &[[u8; 3]]) -> Backdrop {
        let mut best = (0, Backdrop::Plain([128, 128, 128]));
        for _ in 0..60 {
            let level = dice.within(30, 228);
            let first = surface(dice, level);
            let (width, height) = (dice.within(12, 40) as u32, dice.chance(0.5));
            let backdrop = match dice.weighted(&[0.4, 0.3, 0.15, 0.15]) {
                0 => Backdrop::Plain(first),
                1 => {
                    let angle = dice.between(0.0, std::f32::consts::TAU);
                    Backdrop::Gradient(first, near(dice, first, 44), (angle.cos(), angle.sin()))
                }
                2 => Backdrop::Checker(first, near(dice, first, 16), width),
                _ => Backdrop::Stripes(first, near(dice, first, 16), width, height),
            };
            let apart = backdrop.least_contrast(fills);
            if apart >= CONTRAST * CONTRAST {
                return backdrop;
            }
            if apart >= best.0 {
                best = (apart, backdrop);
            }
        }
        best.1
    }

    /// Squared distance of the nearest pair of one of `fills` and a colour of this backdrop.
    fn least_contrast(&self, fills: &[[u8; 3]]) -> u32 {
        let ends = match self {
            Backdrop::Plain(first) => vec![*first],
            Backdrop::Gradient(first, second, _) => {
                let middle = std::array::from_fn(|c| first[c].midpoint(second[c]));
                vec![*first, middle, *second]
            }
            Backdrop::Checker(first, second, _) | Backdrop::Stripes(first, second, _, _) => vec![*first, *second],
        };
        let apart = ends.iter().flat_map(|end| fills.iter().map(|fill| apart_squared(*end, *fill)));
        apart.min().unwrap_or(u32::MAX)
    }

    /// The colour at pixel `(x, y)` of a canvas of `width` by `height`.
    pub fn at(&self, x: u32, y: u32, width: u32, height: u32) -> [u8; 3] {
        match self {
            Backdrop::Plain(only) => *only,
            Backdrop::Gradient(first, second, (dx, dy)) => {
                let (u, v) = (x as f32 / width as f32 - 0.5, y as f32 / height as f32 - 0.5);
                let share = (0.5 + (u * dx + v * dy) / std::f32::consts::SQRT_2).clamp(0.0, 1.0);
                std::array::from_fn(|c| {
                    let (from, to) = (f32::from(first[c]), f32::from(second[c]));
                    (from + (to - from) * share + 0.5) as u8
                })
            }
            Backdrop::Checker(first, second, side) => {
                if (x / side + y / side).is_multiple_of(2) {
                    *first
                } else {
                    *second
                }
            }
            Backdrop::Stripes(first, second, side, upright) => {
                let along = if *upright { x } else { y };
                if (along / side).is_multiple_of(2) { *first } else { *second }
            }
        }
    }
}
