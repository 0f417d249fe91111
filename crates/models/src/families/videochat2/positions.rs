//! Position tables of the encoder: sines and cosines over all patches of some frames, brought to other frames and grids
//! by interpolation. They are computed, not stored.
//!
//! Legend: T frames, P patches on a side, D width.

use super::config::VisionConfig;
use super::tiles::bicubic;

/// Patches on a side of the pictures that the tables were made for.
const TABLE_GRID: usize = 14;

/// The table `[T * P * P, D]` of a unit of `frames` frames, row by row.
///
/// One frame alone is a picture to the encoder and has a table of its own. A video's table of [`VisionConfig`]'s frames
/// is resized to the grid (bicubic), then to `frames` (linear), both with half-pixel centers.
pub(super) fn table(c: &VisionConfig, frames: usize) -> Vec<f32> {
    let (d, grid) = (c.hidden, c.grid());
    let known = if frames == 1 { 1 } else { c.table_frames };
    let own = sines(known * TABLE_GRID * TABLE_GRID, d);
    let resized = match grid == TABLE_GRID {
        true => own,
        false => {
            let frame = |frame: &[f32]| bicubic::resize(frame, (TABLE_GRID, TABLE_GRID), (grid, grid), d);
            own.chunks(TABLE_GRID * TABLE_GRID * d).flat_map(frame).collect()
        }
    };
    if frames == known { resized } else { over_time(&resized, known, frames) }
}

/// `[positions, D]`: angle `p / 10000^(2 floor(j / 2) / D)`, its sine for even `j`, its cosine for odd ones.
fn sines(positions: usize, d: usize) -> Vec<f32> {
    let divisors: Vec<f64> = (0..d).map(|j| 10_000f64.powf((2 * (j / 2)) as f64 / d as f64)).collect();
    let value = |p: usize, j: usize| {
        let angle = p as f64 / divisors[j];
        if j.is_multiple_of(2) { angle.sin() as f32 } else { angle.cos() as f32 }
    };
    (0..positions).flat_map(|p| (0..d).map(move |j| (p, j))).map(|(p, j)| value(p, j)).collect()
}

/// Frames of values from `known` to `frames` by linear interpolation.
fn over_time(values: &[f32], known: usize, frames: usize) -> Vec<f32> {
    let size = values.len() / known.max(1);
    let scale = known as f32 / frames as f32;
    let frame = |number: usize| {
        let place = (scale * (number as f32 + 0.5) - 0.5).max(0.0);
        let first = (place as usize).min(known - 1);
        let (second, weight) = ((first + 1).min(known - 1), place - first as f32);
        let (a, b) = (&values[first * size..][..size], &values[second * size..][..size]);
        a.iter().zip(b).map(move |(a, b)| (1.0 - weight) * a + weight * b)
    };
    (0..frames).flat_map(frame).collect()
}
