//! Color names, their shades, and the distance between two colors.

use crate::synth::rng::SynthRng;

/// The name of an object's color.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Color {
    /// Red.
    Red,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Yellow.
    Yellow,
    /// Orange.
    Orange,
    /// Purple.
    Purple,
    /// White.
    White,
    /// Black.
    Black,
}

/// Largest difference of one channel between two shades of the same color name, in 8-bit levels.
const JITTER: i32 = 12;

impl Color {
    /// All colors.
    pub const ALL: [Color; 8] = [
        Color::Red,
        Color::Green,
        Color::Blue,
        Color::Yellow,
        Color::Orange,
        Color::Purple,
        Color::White,
        Color::Black,
    ];

    /// The word for the color, as questions and answers use it.
    pub fn name(self) -> &'static str {
        match self {
            Color::Red => "red",
            Color::Green => "green",
            Color::Blue => "blue",
            Color::Yellow => "yellow",
            Color::Orange => "orange",
            Color::Purple => "purple",
            Color::White => "white",
            Color::Black => "black",
        }
    }

    /// The center of the shades with this name, 8-bit RGB.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Color::Red => [214, 32, 36],
            Color::Green => [40, 158, 64],
            Color::Blue => [36, 82, 216],
            Color::Yellow => [246, 220, 44],
            Color::Orange => [244, 136, 20],
            Color::Purple => [142, 52, 182],
            Color::White => [243, 243, 243],
            Color::Black => [18, 18, 18],
        }
    }

    /// A random shade close enough to the center to keep the color's name.
    pub fn sample_shade(self, rng: &mut SynthRng) -> [u8; 3] {
        let gray = matches!(self, Color::White | Color::Black);
        let common = rng.range_inclusive(0, 2 * JITTER as usize) as i32 - JITTER;
        self.rgb().map(|level| {
            let own = if gray { 0 } else { rng.range_inclusive(0, JITTER as usize) as i32 - JITTER / 2 };
            (i32::from(level) + common / 2 + own).clamp(0, 255) as u8
        })
    }

    /// The color whose center is nearest to `rgb`.
    pub fn nearest(rgb: [u8; 3]) -> Color {
        let mut best = (u32::MAX, Color::Red);
        for color in Color::ALL {
            let distance = squared_distance(color.rgb(), rgb);
            if distance < best.0 {
                best = (distance, color);
            }
        }
        best.1
    }
}

/// Squared Euclidean distance of two RGB colors in 8-bit levels.
pub(in crate::synth) fn squared_distance(left: [u8; 3], right: [u8; 3]) -> u32 {
    left.iter().zip(right).map(|(l, r)| u32::from(l.abs_diff(r)).pow(2)).sum()
}
