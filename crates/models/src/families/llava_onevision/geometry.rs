//! AnyRes: which grid of tiles a picture is cut into, and which of its visual tokens are left. One place counts them.

use super::config::{Config, Convention};

/// More visual tokens than this many times the limit are scaled down (sides are divided by the root).
const TOLERATED: f64 = 1.1;

/// A picture's grid of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TileGrid {
    /// Tiles (columns, rows).
    pub tiles: (usize, usize),
    /// The picture's size (width, height) after the resize, which fits into the tiles.
    pub resized: (u32, u32),
    /// Where it lies among them: bars to its left and above it.
    pub offset: (u32, u32),
}

/// Which visual tokens of all tiles, put together, are of the picture, and how many are made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TokenGrid {
    /// First row and column.
    pub first: (usize, usize),
    /// Rows and columns of the picture.
    pub cropped: (usize, usize),
    /// Rows and columns after scaling down; the same where there are few enough.
    pub scaled: (usize, usize),
}

impl TokenGrid {
    /// Tokens with one newline at the end of each row.
    pub(super) fn tokens(&self) -> usize {
        self.scaled.0 * (self.scaled.1 + 1)
    }
}

/// Of the possible sizes (width, height) the one that keeps most of a `w x h` picture's pixels, and wastes fewest.
fn best_resolution(pinpoints: &[(u32, u32)], (w, h): (u32, u32)) -> (u32, u32) {
    let (mut best, mut most, mut least_waste) = (None, 0, u64::MAX);
    for &(width, height) in pinpoints {
        let scale = (f64::from(width) / f64::from(w)).min(f64::from(height) / f64::from(h));
        let down = |side: u32| (f64::from(side) * scale) as u64;
        let effective = (down(w) * down(h)).min(u64::from(w) * u64::from(h));
        let waste = u64::from(width) * u64::from(height) - effective;
        if effective > most || (effective == most && waste < least_waste) {
            (best, most, least_waste) = (Some((width, height)), effective, waste);
        }
    }
    // A picture that no size leaves a pixel of, because it is so long: the references fail.
    best.or(pinpoints.first().copied()).unwrap_or((w, h))
}

/// The tiles of a picture of `size` (width, height).
pub(super) fn tile_grid(c: &Config, size: (u32, u32)) -> TileGrid {
    let (width, height) = best_resolution(&c.pinpoints, size);
    let [w, h, target_w, target_h] = [size.0, size.1, width, height].map(f64::from);
    let (scale_w, scale_h) = (target_w / w, target_h / h);
    let fit = |side: f64, scale: f64, most: u32| ((side * scale).ceil() as u32).clamp(1, most);
    let resized = if scale_w < scale_h { (width, fit(h, scale_w, height)) } else { (fit(w, scale_h, width), height) };
    let side = c.vision.image as u32;
    TileGrid {
        tiles: ((width / side) as usize, (height / side) as usize),
        resized,
        offset: ((width - resized.0) / 2, (height - resized.1) / 2),
    }
}

/// The visual tokens of a picture of `size` (width, height) that `tiles` show.
pub(super) fn token_grid(c: &Config, size: (u32, u32), tiles: (usize, usize)) -> TokenGrid {
    let side = c.vision.side();
    let (rows, cols) = (tiles.1 * side, tiles.0 * side);
    let (w, h) = (f64::from(size.0), f64::from(size.1));
    let whole = |x: f64| match c.convention {
        Convention::Original => x as usize,
        Convention::Transformers => round_7(x) as usize,
    };
    // As many lines go at one side as at the other, so that an odd difference leaves one of the padding.
    let bar = |all: usize, left: usize| (all - left.min(all)) / 2;
    let (above, beside) = if w / h > cols as f64 / rows as f64 {
        (bar(rows, whole(h * (cols as f64 / w))), 0)
    } else {
        (0, bar(cols, whole(w * (rows as f64 / h))))
    };
    let cropped = (rows - 2 * above, cols - 2 * beside);
    let scaled = match c.max_tiles {
        Some(most) => {
            let times = ((cropped.0 * cropped.1) as f64 / (most * side * side) as f64).sqrt();
            let down = |n: usize| (floor_divided(n as f64, times) as usize).max(1);
            if times > TOLERATED { (down(cropped.0), down(cropped.1)) } else { cropped }
        }
        None => cropped,
    };
    TokenGrid { first: (above, beside), cropped, scaled }
}

/// Python's `round(x, 7)`: the nearest decimal of the exact value, as formatting finds it.
fn round_7(x: f64) -> f64 {
    format!("{x:.7}").parse().unwrap_or(x)
}

/// Python's `x // y` of positive floats: the floor of the exact quotient.
fn floor_divided(x: f64, y: f64) -> f64 {
    ((x - x % y) / y).round()
}
