//! Backgrounds: low-contrast, nearly gray surfaces that no object can be mistaken for.

use super::objects::color::squared_distance;
use super::rng::SynthRng;

/// A background surface.
#[derive(Clone, Debug, PartialEq)]
pub enum Backdrop {
    /// One RGB color.
    Plain([u8; 3]),
    /// A linear gradient between two RGB colors along the unit vector `(x, y)`.
    Gradient([u8; 3], [u8; 3], (f32, f32)),
    /// A checkerboard of two RGB colors with squares of the given side in pixels.
    Checker([u8; 3], [u8; 3], u32),
    /// Stripes of two RGB colors with the given width in pixels; vertical if the flag is set.
    Stripes([u8; 3], [u8; 3], u32, bool),
}

/// Least Euclidean RGB distance between a fill and every color of the backdrop, in 8-bit levels.
const MIN_CONTRAST: u32 = 88;

/// A nearly gray color around the given level.
fn sample_gray(rng: &mut SynthRng, level: usize) -> [u8; 3] {
    std::array::from_fn(|_| (level + rng.below(25)).saturating_sub(12).min(255) as u8)
}

/// `from`, lighter or darker by 8 to `max_shift` levels.
fn sample_shifted(rng: &mut SynthRng, from: [u8; 3], max_shift: usize) -> [u8; 3] {
    let shift = rng.range_inclusive(8, max_shift) as i32 * if rng.random_bool(0.5) { 1 } else { -1 };
    from.map(|level| (i32::from(level) + shift).clamp(0, 255) as u8)
}

impl Backdrop {
    /// A random backdrop against which every color of `fills` stands out; the best of 60 tries when none is good
    /// enough.
    pub(super) fn sample(rng: &mut SynthRng, fills: &[[u8; 3]]) -> Backdrop {
        let mut best = (0, Backdrop::Plain([128, 128, 128]));
        for _ in 0..60 {
            let level = rng.range_inclusive(30, 228);
            let first = sample_gray(rng, level);
            let (width, vertical) = (rng.range_inclusive(12, 40) as u32, rng.random_bool(0.5));
            let backdrop = match rng.weighted_index(&[0.4, 0.3, 0.15, 0.15]) {
                0 => Backdrop::Plain(first),
                1 => {
                    let angle = rng.uniform(0.0, std::f32::consts::TAU);
                    Backdrop::Gradient(first, sample_shifted(rng, first, 44), (angle.cos(), angle.sin()))
                }
                2 => Backdrop::Checker(first, sample_shifted(rng, first, 16), width),
                _ => Backdrop::Stripes(first, sample_shifted(rng, first, 16), width, vertical),
            };
            let contrast = backdrop.squared_contrast(fills);
            if contrast >= MIN_CONTRAST * MIN_CONTRAST {
                return backdrop;
            }
            if contrast >= best.0 {
                best = (contrast, backdrop);
            }
        }
        best.1
    }

    /// Squared RGB distance of the closest pair of a fill and a color of this backdrop.
    fn squared_contrast(&self, fills: &[[u8; 3]]) -> u32 {
        let colors = match self {
            Backdrop::Plain(only) => vec![*only],
            Backdrop::Gradient(first, second, _) => {
                let middle = std::array::from_fn(|c| first[c].midpoint(second[c]));
                vec![*first, middle, *second]
            }
            Backdrop::Checker(first, second, _) | Backdrop::Stripes(first, second, _, _) => vec![*first, *second],
        };
        let distances = colors.iter().flat_map(|color| fills.iter().map(|fill| squared_distance(*color, *fill)));
        distances.min().unwrap_or(u32::MAX)
    }

    /// RGB color of pixel `(x, y)` on a canvas of `width` by `height` pixels.
    pub(super) fn pixel(&self, x: u32, y: u32, width: u32, height: u32) -> [u8; 3] {
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
            Backdrop::Stripes(first, second, side, vertical) => {
                let along = if *vertical { x } else { y };
                if (along / side).is_multiple_of(2) { *first } else { *second }
            }
        }
    }
}
